"""Owns the transports for httpx that guard each call by the host that it goes to.

The same for both faces of httpx: what they ask is :class:`_Hosts`, how they wait is httpx's.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Self

import httpx

from holdfast.client import Holdfast
from holdfast.client.passage import Passage
from holdfast.errors import BreakerOpen, InvalidInput


class CallRejected(BreakerOpen, httpx.TransportError):
    """The breaker in front of a host let the call not through.

    An error of httpx too, so that code which knows what to do when a host does not answer does
    that here as well.
    """


class _Hosts:
    """Which breaker stands in front of which host."""

    def __init__(self, holdfast: Holdfast, services: Mapping[str, str] | None) -> None:
        self._holdfast = holdfast
        self._services = services

    def passage(self, request: httpx.Request) -> Passage | None:
        """The way through the breaker of a request's host; None if there is none before it."""
        host = request.url.host
        if self._services is not None:
            service = self._services.get(host)
            return self._holdfast.breaker(service) if service else None
        try:
            return self._holdfast.breaker(host)
        except InvalidInput:
            return None  # An address of IPv6 can't be a service's name.


class GuardedTransport(httpx.BaseTransport):
    """Guards each request of an :class:`httpx.Client` by its host.

    An answer of 500 and above is a failed call, and so is an error of the transport. The call ends
    with the answer's headers; how long its body takes is not looked at.

    Args:
        holdfast: Whose breakers.
        services: The service behind each host; requests to other hosts are not guarded. Without
            it each host is guarded as a service of its own name, which is for clients that call
            few hosts: every name is a breaker. An address of IPv6 can't be such a name.
        transport: What carries the requests; httpx's own without it.

    Raises:
        CallRejected: From a request whose breaker is open.
    """

    def __init__(
        self,
        holdfast: Holdfast,
        *,
        services: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._hosts = _Hosts(holdfast, services)
        self._transport = transport or httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request, unless its breaker is open."""
        guarded = self._hosts.passage(request)
        if guarded is None:
            return self._transport.handle_request(request)
        try:
            with guarded as passage:
                response = self._transport.handle_request(request)
                if _failed(response):
                    passage.fail(f"HTTP {response.status_code}")
        except BreakerOpen as rejected:
            raise _rejected(rejected) from None
        return response

    def __enter__(self) -> Self:
        self._transport.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self._transport.__exit__(kind, error, trace)

    def close(self) -> None:
        """Close what carries the requests."""
        self._transport.close()


class AsyncGuardedTransport(httpx.AsyncBaseTransport):
    """Guards each request of an :class:`httpx.AsyncClient`; as :class:`GuardedTransport` does."""

    def __init__(
        self,
        holdfast: Holdfast,
        *,
        services: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._hosts = _Hosts(holdfast, services)
        self._transport = transport or httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request, unless its breaker is open."""
        guarded = self._hosts.passage(request)
        if guarded is None:
            return await self._transport.handle_async_request(request)
        try:
            async with guarded as passage:
                response = await self._transport.handle_async_request(request)
                if _failed(response):
                    passage.fail(f"HTTP {response.status_code}")
        except BreakerOpen as rejected:
            raise _rejected(rejected) from None
        return response

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def aclose(self) -> None:
        """Close what carries the requests."""
        await self._transport.aclose()


def _failed(response: httpx.Response) -> bool:
    return response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR


def _rejected(told: BreakerOpen) -> CallRejected:
    return CallRejected(
        told.service, reason=told.reason, epoch=told.epoch, retry_after=told.retry_after
    )
