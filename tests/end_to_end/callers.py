"""One process with many clients that call the depot again and again, until it is ended.

``python -m tests.end_to_end.callers DEPOT SERVICE NAME NAME ...`` finds Holdfast in its
environment, and prints a line ``rejected NAME`` for each call that a breaker did not let pass.
"""

import asyncio
import sys
from contextlib import ExitStack

import httpx

from holdfast.client import BreakerOpen, Holdfast

PAUSE = 0.2


async def call(http: httpx.AsyncClient, client: Holdfast, service: str, name: str) -> None:
    """Call for ever; whatever the depot answers, the next call follows."""
    while True:
        try:
            async with client.breaker(service):
                answer = await http.get("/", params={"caller": name})
                answer.raise_for_status()
        except BreakerOpen:
            sys.stdout.write(f"rejected {name}\n")
            sys.stdout.flush()
        except httpx.HTTPError:
            pass
        await asyncio.sleep(PAUSE)


async def main(depot: str, service: str, *names: str) -> None:
    async with httpx.AsyncClient(base_url=depot, timeout=60, trust_env=False) as http:
        with ExitStack() as stack:
            clients = {name: stack.enter_context(Holdfast(service=name)) for name in names}
            calling = (call(http, client, service, name) for name, client in clients.items())
            await asyncio.gather(*calling)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
