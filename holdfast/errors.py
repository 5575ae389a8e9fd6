"""Every error that Holdfast raises on purpose.

HoldfastError                      500
├── InvalidInput                   422  what was sent cannot be taken; names the field
│   └── PayloadTooLarge            413
├── Unauthenticated                401  no key, or one that nobody issued
├── Forbidden                      403  a good key without the role
├── NotFound                       404
├── Conflict                       409  the thing's state forbids it
│   └── IncidentAlreadyResolved
├── ConfigurationError             500  the policy file or a setting; names file, line and path
├── ActionFailed                   502  a recovery action answered badly
└── Unavailable                    503  a store or Temporal cannot be reached; carries retry_after
    └── BreakerOpen                     a guarded call was not made: its service is being spared

An error carries the HTTP status under which the API renders it (RFC 9457, one handler in
``api/problems.py``). Its message says what was wrong, where, and what to do.
"""

from datetime import timedelta
from typing import ClassVar


class HoldfastError(Exception):
    """The base of all of them: catch this to catch everything that Holdfast raises on purpose."""

    status: ClassVar[int] = 500


class InvalidInput(HoldfastError):
    """What was sent cannot be taken.

    Args:
        message: What was wrong and what was expected.
        field: Where, as a path in the sent document (``context.channel``); empty for the whole.
    """

    status: ClassVar[int] = 422

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class PayloadTooLarge(InvalidInput):
    """More bytes than a report or a request may have."""

    status: ClassVar[int] = 413


class Unauthenticated(HoldfastError):
    """The request carries no key, or one that nobody issued."""

    status: ClassVar[int] = 401


class Forbidden(HoldfastError):
    """The key is good but lacks the role that this action needs."""

    status: ClassVar[int] = 403


class NotFound(HoldfastError):
    """Nothing goes by that name or id."""

    status: ClassVar[int] = 404


class Conflict(HoldfastError):
    """The thing exists, but its present state forbids what was asked."""

    status: ClassVar[int] = 409


class IncidentAlreadyResolved(Conflict):
    """The incident is over; a new report of the same error opens the next one."""


class ConfigurationError(HoldfastError):
    """The policy file or a setting is wrong; the message names file, line and path."""


class ActionFailed(HoldfastError):
    """A recovery action was carried out and did not do what it should."""

    status: ClassVar[int] = 502


class Unavailable(HoldfastError):
    """A store or Temporal cannot be reached now.

    Args:
        message: What could not be reached.
        retry_after: When it makes sense to ask again.
    """

    status: ClassVar[int] = 503

    def __init__(self, message: str, *, retry_after: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BreakerOpen(Unavailable):
    """A guarded call was not made, because the circuit breaker of what it calls lets none through.

    Args:
        service: Whose breaker.
        reason: Why it is open.
        epoch: The breaker's epoch, to find the transition in the audit log.
        retry_after: When it makes sense to try again; nothing for at once.
    """

    def __init__(self, service: str, *, reason: str, epoch: int, retry_after: timedelta) -> None:
        super().__init__(f"the breaker of {service} is open: {reason}", retry_after=retry_after)
        self.service = service
        self.reason = reason
        self.epoch = epoch

    def __reduce__(self) -> tuple[object, ...]:
        given = (self.service, self.reason, self.epoch, self.retry_after)
        return _breaker_open, given


def _breaker_open(service: str, reason: str, epoch: int, retry_after: timedelta) -> BreakerOpen:
    """Make one anew from its pickled parts, as between the processes of a job queue."""
    return BreakerOpen(service, reason=reason, epoch=epoch, retry_after=retry_after)
