"""The hooks for what nobody caught, and those that were there before."""

import asyncio
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from holdfast.integrations.unhandled import report_unhandled
from tests.client.control_plane import ControlPlane


@pytest.fixture
def plane():
    plane = ControlPlane()
    yield plane
    plane.close()


@pytest.fixture
def former(monkeypatch):
    """The hooks that a program has set already, and what they were asked."""
    asked = SimpleNamespace(program=[], threads=[])
    monkeypatch.setattr(sys, "excepthook", lambda *told: asked.program.append(told[1]))
    monkeypatch.setattr(threading, "excepthook", lambda told: asked.threads.append(told.exc_value))
    return asked


@pytest.fixture
def hooked(former, holdfast):
    undo = report_unhandled(holdfast)
    yield
    undo()


def told(reports):
    return [(report.message, report.context) for report in reports]


def fail_in_a_thread(error):
    def run():
        raise error

    thread = threading.Thread(target=run, name="import")
    thread.start()
    thread.join()


@pytest.mark.usefixtures("hooked")
def test_what_ends_the_program_is_reported(reports, former):
    error = ValueError("the end")
    sys.excepthook(ValueError, error, None)
    assert told(reports) == [("the end", {"unhandled_in": "the main thread"})]
    assert former.program == [error]


@pytest.mark.usefixtures("hooked")
def test_what_ends_a_thread_is_reported(reports, former):
    error = ValueError("the end")
    fail_in_a_thread(error)
    assert told(reports) == [("the end", {"unhandled_in": "thread import"})]
    assert former.threads == [error]


@pytest.mark.usefixtures("hooked")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_what_a_person_or_a_signal_ends_is_no_error(reports, former, error):
    sys.excepthook(type(error), error, None)
    assert reports == []
    assert former.program == [error]


def test_the_former_hooks_come_back(holdfast, former):
    before = (sys.excepthook, threading.excepthook)
    report_unhandled(holdfast)()
    assert (sys.excepthook, threading.excepthook) == before


def test_hooks_set_later_stay(holdfast, former, monkeypatch):
    """Whoever took ours along may still ask it."""
    undo = report_unhandled(holdfast)
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)
    later = sys.excepthook
    undo()
    assert sys.excepthook is later


def in_a_loop(holdfast, act, *, met=None):
    """Run ``act`` in a loop of its own, which has a handler if ``met`` is given."""

    async def main():
        loop = asyncio.get_running_loop()
        if met is not None:
            loop.set_exception_handler(lambda _, context: met.append(context["message"]))
        before = loop.get_exception_handler()
        undo = report_unhandled(holdfast, loop=loop)
        act(loop)
        for _ in range(3):
            await asyncio.sleep(0)
        undo()
        assert loop.get_exception_handler() is before

    asyncio.run(main())


@pytest.mark.usefixtures("former")
def test_what_nobody_awaited_is_reported(holdfast, reports):
    async def fail():
        raise ValueError("alone")

    met = []
    in_a_loop(holdfast, lambda loop: loop.create_task(fail(), name="import"), met=met)
    [report] = reports
    assert report.message == "alone"
    assert report.context["unhandled_in"] == "the event loop"
    assert report.context["task"] == "import"
    assert met == ["Task exception was never retrieved"]


@pytest.mark.usefixtures("former")
def test_a_callback_that_fails_is_reported_and_logged_as_before(holdfast, reports, caplog):
    in_a_loop(holdfast, lambda loop: loop.call_soon(lambda: 1 / 0))
    assert reports[0].error_type == "ZeroDivisionError"
    assert "Exception in callback" in caplog.text


@pytest.mark.usefixtures("former")
def test_a_trouble_of_the_loop_without_an_exception_is_reported(holdfast, reports):
    def complain(loop):
        loop.call_exception_handler({"message": "a transport was left open"})

    in_a_loop(holdfast, complain, met=[])
    assert reports[0].message == "a transport was left open"


@pytest.mark.usefixtures("former")
def test_a_trouble_of_the_loop_without_a_message_is_reported_and_goes_on(holdfast, reports):
    handled = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: handled.append(context))
        report_unhandled(holdfast, loop=loop)
        loop.call_exception_handler({"exception": ValueError("alone")})

    asyncio.run(main())
    assert [report.message for report in reports] == ["alone"]
    assert len(handled) == 1


def test_a_script_still_prints_its_traceback(plane):
    """And its last error arrives, although the program ends with it."""
    script = f"""if True:
        from holdfast.client import Holdfast
        from holdfast.integrations.unhandled import report_unhandled
        report_unhandled(Holdfast({plane.url!r}, "key", service="script", spill=None))
        raise ValueError("the end")
    """
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.endswith("ValueError: the end\n")
    assert plane.counts == {"the end": 1}
