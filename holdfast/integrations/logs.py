"""Owns the handler of :mod:`logging`: what a service logs as an error is reported too."""

import hashlib
import logging
import threading
from typing import Any

from holdfast.client import Holdfast
from holdfast.client.entry import claimed
from holdfast.errors import BreakerOpen
from holdfast.integrations.masking import masked_values

# What every record has; anything else came with ``extra``.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# The client's own troubles are not the service's errors, and telling of them would make more.
_UNTOLD = "holdfast"
# The innermost frames come last, two lines each.
_STACK_LINES = 40


class HoldfastHandler(logging.Handler):
    """Reports records of ``ERROR`` and above, with their exception or the place that logged them.

    A record with an exception is that exception's report; one without is an error named after its
    logger, and records of one message template are the same error. The ``extra`` fields come
    along, secrets removed. No severity follows from the level: levels are set out of habit, and
    a severity wakes people.

    Args:
        holdfast: Where to report.
        level: The least level to report.
    """

    def __init__(self, holdfast: Holdfast, level: int = logging.ERROR) -> None:
        super().__init__(level)
        self._holdfast = holdfast
        self._within = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Report a record, unless it tells of the telling."""
        if record.name.partition(".")[0] == _UNTOLD or getattr(self._within, "emit", False):
            return
        self._within.emit = True
        try:
            self._report(record)
        except Exception:  # noqa: BLE001 - logging has its own way with them, as in each handler
            self.handleError(record)
        finally:
            self._within.emit = False

    def _report(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            self._holdfast.report(
                record.getMessage(),
                error_type=record.name,
                fingerprint=_fingerprint(record),
                context=_context(record),
            )
        elif not isinstance(error, BreakerOpen) and claimed(error, by="logs"):
            context = {"message": record.getMessage()} | _context(record)
            self._holdfast.report(error, context=context)


def _fingerprint(record: logging.LogRecord) -> str | None:
    """One for all records of a template; a message that came as a whole is left to Holdfast."""
    if not record.args:
        return None
    template = f"{record.name}\x1f{record.msg}"
    return hashlib.sha256(template.encode(errors="replace")).hexdigest()[:16]


def _context(record: logging.LogRecord) -> dict[str, Any]:
    extra = {name: value for name, value in vars(record).items() if name not in _OWN}
    told = {
        "logger": record.name,
        "level": record.levelname,
        "logged_at": f"{record.module}.{record.funcName}:{record.lineno}",
        "stack": (record.stack_info or "").splitlines()[-_STACK_LINES:],
        "extra": masked_values(extra),
    }
    return {name: value for name, value in told.items() if value}
