"""Owns the looking whether a service is well again."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

import httpx

from activities.actions.outcome import Detail
from activities.outbound import NoAnswer, address, exchange, seconds
from config.secrets import Secrets
from holdfast.domain.action import HealthCheck

# However short an interval somebody writes, a service that is ill is not asked in a tight loop.
_SHORTEST_INTERVAL = timedelta(milliseconds=50)


@dataclass(frozen=True)
class Health:
    """What was seen of a service.

    Attributes:
        seen: The last look's answer, such as ``answered 503`` or ``Connection refused``.
        waited: From the first look to the end of the last.
    """

    url: str
    well: bool
    seen: str
    looks: int
    waited: timedelta

    @property
    def detail(self) -> Detail:
        """The same for programs."""
        return {
            "url": self.url,
            "well": self.well,
            "seen": self.seen,
            "looks": self.looks,
            "milliseconds": round(self.waited.total_seconds() * 1000),
        }

    def __str__(self) -> str:
        if self.well:
            after = f" after {seconds(self.waited)}" if self.looks > 1 else ""
            return f"health check passed{after}"
        return (
            f"health check did not pass within {seconds(self.waited)}: "
            f"GET {self.url} last {self.seen}"
        )


@dataclass(frozen=True)
class HealthChecks:
    """Asks services for their health.

    Attributes:
        last_look: What a look has at least, even when patience ends before it could answer.
    """

    http: httpx.AsyncClient
    secrets: Secrets
    last_look: timedelta = timedelta(seconds=5)

    async def until_well(self, check: HealthCheck, *, patience: timedelta) -> Health:
        """Look at once and then at each interval, until the service is well or patience ends.

        No look begins after that, and the last one is over within ``last_look`` of it.

        Raises:
            ConfigurationError: If a header's secret is missing.
        """
        headers = {name: self.secrets.fill(value) for name, value in check.headers.items()}
        interval = max(check.interval, _SHORTEST_INTERVAL)
        started = monotonic()
        looks = 0
        while True:
            looks += 1
            left = patience - timedelta(seconds=monotonic() - started)
            within = min(check.timeout, max(left, self.last_look))
            well, seen = await self._look(check, headers, within)
            waited = timedelta(seconds=monotonic() - started)
            if well or waited + interval > patience:
                return Health(address(check.url), well, seen, looks, waited)
            await asyncio.sleep(interval.total_seconds())

    async def _look(
        self, check: HealthCheck, headers: dict[str, str], within: timedelta
    ) -> tuple[bool, str]:
        try:
            answer = await exchange(self.http, "GET", check.url, within=within, headers=headers)
        except NoAnswer as error:
            return False, f"gave {error}" if str(error).startswith("no ") else f"failed: {error}"
        return check.expect.include(answer.status), f"answered {answer.status}"
