"""What docs/client.md and the README show runs as it stands, and does what they say."""

import logging
import re
import sys
import threading
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from openfeature import api

from holdfast.client import BreakerOpen, Holdfast
from holdfast.domain.breaker import BreakerStatus
from holdfast.domain.guidance import BreakerGuidance, ServiceGuidance
from holdfast.integrations.logs import HoldfastHandler
from holdfast.integrations.unhandled import report_unhandled

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "client.md"
README = ROOT / "README.md"
SOON = timedelta(seconds=10)
ROW = re.compile(r"^\|[^|]+\| `\.(\w+)` \| `([^`]+)`", re.MULTILINE)


class Shop:
    """The service of the reader, as the page's test has it."""

    def __init__(self, holdfast):
        self._holdfast = holdfast
        self._charge = holdfast.guard("payments", fallback=self._charge_later)(self._charge_now)

    def checkout(self, order):
        return self._charge(order)

    def _charge_now(self, order):
        return "charged"

    def _charge_later(self, order):
        self._holdfast.report(f"{order} is charged later")
        return "charged later"


class Far:
    """The other services: answers what it is told to, after it failed as often as it was told."""

    def __init__(self):
        self.status = 200
        self.failures = 0

    def __call__(self, request):
        if self.failures:
            self.failures -= 1
            raise httpx.ConnectError("refused")
        return httpx.Response(self.status, json={"state": "paid", "price": 7, "name": "pen"})


def blocks(text):
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run(code, names):
    exec(compile(code, "a page", "exec"), names)


@pytest.fixture
def far():
    return Far()


@pytest.fixture
def reader(plane, far, monkeypatch):
    """What a reader has before the first line: the environment, and a service of their own."""
    monkeypatch.setenv("HOLDFAST_URL", plane.url)
    monkeypatch.setenv("HOLDFAST_KEY", "key")
    monkeypatch.setenv("HOLDFAST_SPILL", "off")
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)
    monkeypatch.setattr(threading, "excepthook", lambda *_: None)
    transport = httpx.MockTransport(far)
    names = {
        "__name__": "shop",
        "httpx": httpx,
        "payments": httpx.Client(transport=transport, base_url="http://payments"),
        "catalogue": httpx.AsyncClient(transport=transport, base_url="http://catalogue"),
        "Shop": Shop,
    }
    yield names
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, HoldfastHandler)]:
        root.removeHandler(handler)
    api.shutdown()
    names["holdfast"].close()


@pytest.fixture
def page(reader):
    """The names that are there after the last line of the page."""
    for block in blocks(PAGE.read_text()):
        run(block, reader)
    return reader


@pytest.fixture
def holdfast(page):
    return page["holdfast"]


def tell(holdfast: Holdfast, service, *, status=BreakerStatus.CLOSED, off=()):
    """Have the client hear what Holdfast would tell it."""
    breaker = BreakerGuidance(status=status, epoch=1, reason="it burns")
    guidance = ServiceGuidance(service=service, breaker=breaker, features_off=off)
    holdfast._switchboard.heard([guidance], whole=False)


def reported(holdfast, plane):
    assert holdfast.flush(SOON)
    return plane.counts


def test_reports_arrive(holdfast, plane):
    counts = reported(holdfast, plane)
    assert counts["division by zero"] == 1
    assert counts["the price list is empty"] == 1


def test_a_guarded_call_is_made_or_falls_back(page, holdfast, far):
    charge = page["charge"]
    assert charge("o-7")["state"] == "paid"
    far.status = 503
    assert charge("o-7") == {"state": "later"}
    far.status = 200
    tell(holdfast, "payments", status=BreakerStatus.OPEN)
    assert charge("o-7") == {"state": "later"}


async def test_a_guarded_block_counts_what_it_is_told(page, holdfast, far):
    price = page["price"]
    assert await price("pen") == 7
    far.status = 429
    for _ in range(30):
        with pytest.raises((httpx.HTTPStatusError, BreakerOpen)):
            await price("pen")
    assert holdfast.breaker("catalogue").status is BreakerStatus.OPEN


async def test_a_guarded_call_is_made_again(page, far):
    far.failures = 1
    assert (await page["article"]("pen"))["name"] == "pen"


def test_a_rejected_call_says_why_and_until_when(page, holdfast, capsys):
    tell(holdfast, "payments", status=BreakerStatus.OPEN)
    [block] = [each for each in blocks(PAGE.read_text()) if "except BreakerOpen" in each]
    run(block, page)
    assert capsys.readouterr().out == "payments is spared, it burns; again in 0:00:05\n"


def test_a_feature_is_off_when_it_is_switched_off(page, holdfast):
    assert page["bitrate"] == "6000k"
    tell(holdfast, "shop", off=("hd-transcode",))
    [block] = [each for each in blocks(PAGE.read_text()) if "bitrate =" in each]
    run(block, page)
    assert page["bitrate"] == "1500k"


async def test_the_middleware_reports(page, holdfast, plane):
    app: FastAPI = page["app"]

    @app.get("/")
    async def fail():
        raise LookupError("no such order")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        assert (await client.get("/")).status_code == 500
    assert reported(holdfast, plane)["no such order"] == 1


def test_the_log_is_reported(page, holdfast, plane):
    logging.getLogger("shop.orders").error("the printer is on fire")
    assert reported(holdfast, plane)["the printer is on fire"] == 1


def test_what_nobody_caught_is_reported(page, holdfast, plane):
    sys.excepthook(LookupError, LookupError("the end"), None)
    assert reported(holdfast, plane)["the end"] == 1
    page["undo"]()
    assert sys.excepthook.__module__ != report_unhandled.__module__


def test_a_job_that_fails_is_reported(page, holdfast, plane):
    with pytest.raises(LookupError):
        page["send_invoices"]("May")
    assert reported(holdfast, plane)["no orders in May"] == 1


def test_a_request_to_a_host_goes_through_its_breaker(page, holdfast):
    tell(holdfast, "payments", status=BreakerStatus.OPEN)
    with pytest.raises(httpx.TransportError, match="breaker of payments is open"):
        page["client"].get("http://payments.internal/rates")


def test_a_flag_of_openfeature_is_a_feature(page, holdfast):
    assert page["hd"] is True
    tell(holdfast, "shop", off=("hd-transcode",))
    assert api.get_client().get_boolean_value("hd-transcode", default_value=True) is False


def test_the_test_of_a_service_passes(page):
    [test] = [value for name, value in page.items() if name.startswith("test_")]
    test()


def test_every_integration_takes_less_than_ten_lines():
    integrations = PAGE.read_text().partition("## Integrations")[2].partition("## Test")[0]
    lengths = [len(block.splitlines()) for block in blocks(integrations)]
    assert len(lengths) == 6
    assert max(lengths) < 10


def test_the_readme_connects_a_service(reader, plane, far):
    prices = {"o-7": "7.00"}
    reader["price"] = prices.__getitem__
    [block] = blocks(README.read_text())
    run(block, reader)
    checkout = reader["checkout"]
    assert checkout("o-7") == {"total": "7.00", "payment": "paid", "layout": "rich"}
    far.status = 500
    assert checkout("o-7")["payment"] == "later"
    with pytest.raises(KeyError):
        checkout("o-8")
    assert reported(reader["holdfast"], plane) == {"'o-8'": 1}


@pytest.mark.parametrize(("module", "code"), ROW.findall(README.read_text()))
def test_every_integration_of_the_readme_runs(reader, module, code):
    given = f"""
import logging, httpx, openfeature.api
from fastapi import FastAPI
from holdfast.client import Holdfast
from holdfast.integrations.{module} import *
app, holdfast = FastAPI(), Holdfast(service="shop")
def send_invoices(): ...
"""
    run(given, reader)
    run(code, reader)


def test_the_readme_has_every_integration():
    modules = {path.stem for path in (ROOT / "holdfast" / "integrations").glob("*.py")}
    inner = {"__init__", "asgi_scope", "masking", "reporting"}
    assert {module for module, _ in ROW.findall(README.read_text())} == modules - inner
