"""The handler of logging: what is logged as an error is reported, and nothing else."""

import logging
from datetime import timedelta

import pytest

from holdfast.errors import BreakerOpen
from holdfast.integrations.logs import HoldfastHandler
from holdfast.testing import FakeHoldfast


@pytest.fixture
def log(holdfast):
    logger = logging.getLogger("shop.orders")
    handler = HoldfastHandler(holdfast)
    logger.addHandler(handler)
    logger.propagate = False
    yield logger
    logger.propagate = True
    logger.removeHandler(handler)


def raised(error):
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_a_logged_exception_is_reported_as_itself(log, reports):
    error = raised(ValueError("seven"))
    log.error("order %s failed", 7, exc_info=error)
    [report] = reports
    assert (report.error_type, report.message) == ("ValueError", "seven")
    assert report.context["message"] == "order 7 failed"
    assert report.context["logger"] == "shop.orders"
    assert report.context["level"] == "ERROR"


def test_a_message_is_reported_under_the_name_of_its_logger(log, reports):
    log.critical("the warehouse is on fire")
    [report] = reports
    assert report.message == "the warehouse is on fire"
    assert report.error_type == "shop.orders"
    assert report.context["logged_at"].startswith("test_logs.test_a_message")
    assert report.severity is None
    assert report.fingerprint is None


def test_messages_of_one_template_are_one_error(log, reports):
    log.error("no answer from %s", "vienna")
    log.error("no answer from %s", "berlin")
    log.error("no news from %s", "berlin")
    first, second, third = (report.fingerprint for report in reports)
    assert first == second != third


def test_less_than_an_error_is_not_reported(log, reports):
    log.warning("it is late")
    assert reports == []


def test_extra_fields_and_the_stack_come_along_without_secrets(log, reports):
    log.error("it broke", extra={"order": 7, "card_token": "hidden"}, stack_info=True)
    context = reports[0].context
    assert context["extra"] == {"order": 7, "card_token": "[removed]"}
    assert context["stack"][-1].strip().startswith("log.error(")


def test_the_clients_own_log_is_not_reported(holdfast, reports):
    handler = HoldfastHandler(holdfast)
    for name in ("holdfast", "holdfast.client"):
        handler.handle(logging.makeLogRecord({"name": name, "levelno": logging.ERROR}))
    assert reports == []


def test_what_is_logged_while_reporting_is_not_reported():
    """A report that logs an error which is reported would never end."""

    class Talkative(FakeHoldfast):
        def report(self, error, **told):
            super().report(error, **told)
            handler.handle(record("I was told"))

    def record(message):
        return logging.makeLogRecord({"name": "shop", "levelno": logging.ERROR, "msg": message})

    holdfast = Talkative()
    handler = HoldfastHandler(holdfast)
    handler.handle(record("it broke"))
    handler.handle(record("it broke again"))
    assert [report.message for report in holdfast.reports] == ["it broke", "it broke again"]


def test_a_record_that_cannot_be_told_is_left_to_logging(holdfast, reports, capsys):
    """As with every handler: told on standard error, and never raised."""
    record = logging.makeLogRecord({"name": "shop", "levelno": logging.ERROR, "msg": "%d"})
    record.args = ("many",)
    HoldfastHandler(holdfast).handle(record)
    assert "Logging error" in capsys.readouterr().err
    assert reports == []


def test_a_rejected_call_is_not_reported(log, reports):
    """Its cause is known already."""
    spared = BreakerOpen("payments", reason="", epoch=1, retry_after=timedelta(seconds=1))
    log.error("no charge", exc_info=raised(spared))
    assert reports == []
