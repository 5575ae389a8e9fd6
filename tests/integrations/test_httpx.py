"""The transports of httpx, in both faces, with the breakers of a client that talks to nobody."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from holdfast.domain.breaker import BreakerStatus
from holdfast.errors import BreakerOpen
from holdfast.integrations.httpx import AsyncGuardedTransport, CallRejected, GuardedTransport

SERVICES = {"payments.internal": "payments"}
URL = "http://payments.internal/charges"


class Far:
    """What stands at the other end: answers by its status, or raises; counts what reached it."""

    def __init__(self):
        self.status = 200
        self.error = None
        self.requests = 0

    def __call__(self, request):
        self.requests += 1
        if self.error:
            raise self.error
        return httpx.Response(self.status)


@pytest.fixture
def far():
    return Far()


@pytest.fixture(params=["sync", "async"])
def ask(request, holdfast, far):
    """Makes one request, over a client of either face."""
    services = {"services": SERVICES}
    inner = httpx.MockTransport(far)

    async def ask(url=URL, **options):
        said = services | options
        if request.param == "sync":
            return ask_plainly(GuardedTransport(holdfast, transport=inner, **said), url)
        guarded = AsyncGuardedTransport(holdfast, transport=inner, **said)
        async with httpx.AsyncClient(transport=guarded) as client:
            return await client.get(url)

    def ask_plainly(guarded, url):
        with httpx.Client(transport=guarded) as client:
            return client.get(url)

    return ask


async def test_a_host_that_answers_is_called(ask, far):
    assert (await ask()).status_code == 200
    assert far.requests == 1


async def test_a_rejected_call_never_leaves(ask, holdfast, far):
    holdfast.open_breaker("payments", reason="it burns", probes_in=timedelta(seconds=4))
    with pytest.raises(CallRejected) as caught:
        await ask()
    assert far.requests == 0
    assert (caught.value.service, caught.value.reason) == ("payments", "it burns")
    assert caught.value.retry_after == timedelta(seconds=4)


@pytest.mark.parametrize("kind", [BreakerOpen, httpx.TransportError, httpx.HTTPError])
async def test_whoever_handles_errors_of_httpx_handles_a_rejected_call(ask, holdfast, kind):
    """And sees which request it was, as with each error of httpx."""
    holdfast.open_breaker("payments")
    with pytest.raises(kind) as caught:
        await ask()
    assert caught.value.request.url == URL


@pytest.mark.parametrize("status", [500, 503])
async def test_answers_of_500_and_above_open_the_breaker(ask, holdfast, far, status):
    far.status = status
    for _ in range(20):
        assert (await ask()).status_code == status
    assert holdfast.breaker("payments").status is BreakerStatus.OPEN
    with pytest.raises(CallRejected):
        await ask()


async def test_errors_of_the_transport_open_the_breaker(ask, holdfast, far):
    far.error = httpx.ConnectError("refused")
    for _ in range(20):
        with pytest.raises(httpx.ConnectError):
            await ask()
    assert holdfast.breaker("payments").status is BreakerStatus.OPEN


async def test_what_the_caller_did_wrong_opens_nothing(ask, holdfast, far):
    far.status = 404
    for _ in range(30):
        await ask()
    assert holdfast.breaker("payments").status is BreakerStatus.CLOSED


async def test_hosts_that_are_not_named_pass_unguarded(ask, far):
    far.status = 500
    for _ in range(30):
        assert (await ask("http://elsewhere.internal/")).status_code == 500


async def test_without_names_each_host_is_a_service_of_its_own_name(ask, holdfast):
    holdfast.open_breaker("payments.internal")
    with pytest.raises(CallRejected):
        await ask(services=None)
    assert (await ask("http://elsewhere.internal/", services=None)).status_code == 200


async def test_an_address_that_is_no_name_passes_unguarded(ask):
    assert (await ask("http://[::1]/", services=None)).status_code == 200


async def test_a_cancelled_request_counts_nothing(holdfast):
    class Hanging(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            await asyncio.Event().wait()

    guarded = AsyncGuardedTransport(holdfast, services=SERVICES, transport=Hanging())
    async with httpx.AsyncClient(transport=guarded) as client:
        for _ in range(30):
            task = asyncio.create_task(client.get(URL))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert holdfast.breaker("payments").status is BreakerStatus.CLOSED


async def test_what_it_carries_requests_with_is_closed_with_it(holdfast):
    class Counting(httpx.MockTransport):
        closed = 0

        def close(self):
            self.closed += 1

        async def aclose(self):
            self.closed += 1

    inner = Counting(lambda request: httpx.Response(200))
    httpx.Client(transport=GuardedTransport(holdfast, transport=inner)).close()
    await httpx.AsyncClient(transport=AsyncGuardedTransport(holdfast, transport=inner)).aclose()
    assert inner.closed == 2
