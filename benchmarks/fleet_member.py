"""One process of the fleet: ``python -m benchmarks.fleet_member URL KEY CLIENTS``.

Says ``ready`` once all its clients are in contact. Then each line that it reads names a service and
a moment; it answers with the moments at which its clients heard that the service's breaker is open.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import timedelta
from threading import Event

from holdfast.client import Holdfast
from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.guidance import ServiceGuidance

_IN_CONTACT = timedelta(seconds=60)
_TRIPPED_WITHIN = timedelta(seconds=20)


def require_guidance(holdfast: Holdfast) -> None:
    """Return once a client is in contact.

    Raises:
        TimeoutError: If it is not in time.
    """
    if not holdfast.wait_for_guidance(_IN_CONTACT):
        raise TimeoutError("no guidance came")


class Member:
    """One client, and when it heard of open breakers."""

    def __init__(self, holdfast: Holdfast) -> None:
        self.holdfast = holdfast
        self._opened = Event()
        self._service = ""
        self._at = 0.0
        holdfast.subscribe(self._heard)

    def expect(self, service: str) -> None:
        """Look out for the opening of a service's breaker."""
        self._service = service
        self._opened.clear()

    def fail(self) -> None:
        """Make the one call of the service, which fails."""
        with suppress(ConnectionError), self.holdfast.breaker(self._service):
            raise ConnectionError("down")

    def opened_at(self) -> float:
        """When the breaker was open here, in seconds since the epoch.

        Raises:
            TimeoutError: If it is not in time.
        """
        if not self._opened.wait(_TRIPPED_WITHIN.total_seconds()):
            raise TimeoutError(f"the breaker of {self._service} did not open")
        return self._at

    def _heard(self, guidance: ServiceGuidance) -> None:
        now = time.time()
        is_open = guidance.breaker.status is BreakerStatus.OPEN
        if is_open and guidance.service == self._service and not self._opened.is_set():
            self._at = now
            self._opened.set()


def main(url: str, key: str, clients: int) -> None:
    """Live for as long as orders come."""
    with ExitStack() as stack:
        members = [
            Member(stack.enter_context(Holdfast(url, key, service=f"member-{number}")))
            for number in range(clients)
        ]
        for member in members:
            require_guidance(member.holdfast)
        print("ready", flush=True)
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=clients))
        for line in sys.stdin:
            order = json.loads(line)
            for member in members:
                member.expect(order["service"])
            time.sleep(max(order["at"] - time.time(), 0))
            list(pool.map(Member.fail, members))
            print(json.dumps([member.opened_at() for member in members]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
