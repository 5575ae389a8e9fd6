"""An error that meets several integrations on its way out is counted once."""

import logging

import pytest

from holdfast.client.entry import claimed
from holdfast.integrations.asgi import HoldfastMiddleware
from holdfast.integrations.jobs import job
from holdfast.integrations.logs import HoldfastHandler


async def test_what_the_middleware_reported_the_servers_log_does_not(holdfast, reports):
    """Servers log what comes out of an application."""

    async def fail(scope, receive, send):
        raise ValueError("the end")

    scope = {"type": "http", "path": "/", "method": "GET", "headers": []}
    with pytest.raises(ValueError, match="the end") as caught:
        await HoldfastMiddleware(fail, holdfast)(scope, None, None)
    record = logging.makeLogRecord({"levelno": logging.ERROR, "name": "uvicorn.error"})
    record.exc_info = (ValueError, caught.value, None)
    HoldfastHandler(holdfast).handle(record)
    assert [report.context.keys() for report in reports] == [{"request"}]


def test_an_instance_that_is_raised_again_is_another_error(holdfast, reports):
    """Some programs keep one instance and raise it each time; none of these is lost."""
    error = ValueError("kept")

    @job(holdfast)
    def run():
        raise error

    for _ in range(3):
        with pytest.raises(ValueError, match="kept"):
            run()
    assert len(reports) == 3


class Frozen(Exception):
    """With slots, and nothing of it can be set."""

    __slots__ = ("order",)

    def __setattr__(self, name, value):
        raise AttributeError(name)


@pytest.mark.parametrize("kind", [ValueError, Frozen])
async def test_what_the_service_reported_and_raised_on_is_reported_once(holdfast, reports, kind):
    async def fail(scope, receive, send):
        error = kind()
        holdfast.report(error, context={"order": 7})
        raise error

    scope = {"type": "http", "path": "/", "method": "GET", "headers": []}
    with pytest.raises(kind) as caught:
        await HoldfastMiddleware(fail, holdfast)(scope, None, None)
    holdfast.report(caught.value)
    assert [report.context for report in reports] == [{"order": 7}, {}]


def test_each_error_is_claimed_by_one():
    first, second = ValueError(), ValueError()
    assert claimed(first, by="asgi")
    assert not claimed(first, by="logs")
    assert claimed(second, by="logs")
