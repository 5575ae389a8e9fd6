"""The decorator of background jobs."""

import asyncio
import inspect
from datetime import timedelta

import pytest

from holdfast.errors import BreakerOpen
from holdfast.integrations.jobs import job


def test_a_job_that_fails_is_reported_and_raises_on(holdfast, reports):
    @job(holdfast, name="invoices")
    def send(month, *, dry=False, api_token="", link=""):
        raise ValueError(month)

    with pytest.raises(ValueError, match="May"):
        send("May", api_token="hidden", link="http://h/?token=hidden")
    [report] = reports
    assert report.error_type == "ValueError"
    assert report.labels == {"job": "invoices"}
    assert report.context == {
        "job": "invoices",
        "arguments": {
            "month": "'May'",
            "api_token": "[removed]",
            "link": "'http://h/?token=[removed]'",
        },
    }


async def test_an_async_job_stays_one(holdfast, reports):
    @job(holdfast)
    async def send(month):
        await asyncio.sleep(0)
        raise ValueError(month)

    assert inspect.iscoroutinefunction(send)
    with pytest.raises(ValueError, match="May"):
        await send("May")
    assert reports[0].context["job"].endswith("test_an_async_job_stays_one.<locals>.send")


async def test_a_job_that_is_done_says_nothing(holdfast, reports):
    @job(holdfast)
    def double(number: int) -> int:
        return 2 * number

    @job(holdfast)
    async def triple(number: int) -> int:
        return 3 * number

    assert (double(2), await triple(2)) == (4, 6)
    assert double.__name__ == "double"
    assert reports == []


async def test_a_cancelled_job_is_no_error(holdfast, reports):
    @job(holdfast)
    async def wait():
        await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reports == []


def test_a_rejected_call_is_not_reported(holdfast, reports):
    """The queue tries the job again, and the cause is known already."""

    @job(holdfast)
    def charge():
        raise BreakerOpen("payments", reason="", epoch=1, retry_after=timedelta(seconds=1))

    with pytest.raises(BreakerOpen):
        charge()
    assert reports == []


def test_arguments_are_short_or_left_out(holdfast, reports):
    class Unspeakable:
        def __repr__(self):
            raise RuntimeError

    @job(holdfast)
    def send(*items, **options):
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - it says nothing
        send("x" * 10_000, Unspeakable(), option=list(range(10_000)))
    shown = reports[0].context["arguments"]
    assert all(len(value) < 1000 for value in shown.values())

    @job(holdfast, arguments=False)
    def quiet(password):
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - it says nothing
        quiet("hidden")
    assert reports[1].context["arguments"] == {}


def test_a_call_with_wrong_arguments_is_reported(holdfast, reports):
    @job(holdfast)
    def send(month):
        pass

    with pytest.raises(TypeError):
        send("May", "June")
    assert reports[0].context["arguments"] == {"args": "('May', 'June')"}


def test_methods_are_jobs_too(holdfast, reports):
    class Mailer:
        @job(holdfast)
        def send(self, month):
            raise ValueError(month)

    with pytest.raises(ValueError, match="May"):
        Mailer().send("May")
    assert reports[0].context["arguments"]["month"] == "'May'"


def test_a_generator_is_refused(holdfast):
    """Its errors come when it is iterated, which nobody would watch."""
    with pytest.raises(TypeError, match="is a generator"):

        @job(holdfast)
        def lines():
            yield 1
