"""Owns what comes from Sentry: errors and alerts are reports, and resolved ones end theirs."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

import structlog
from pydantic import ValidationError

from api.incident_desk import IncidentDesk
from api.json_body import parsed
from api.problems import FieldProblem, InvalidFields, field_problems
from api.reception import Reception
from api.sentry_message import Event, Hook, Issue, MetricAlert
from api.sentry_reports import (
    issue_key,
    report_of_alert,
    report_of_event,
    report_of_issue,
    service_of_alert,
    service_of_issue,
)
from api.vendor_secrets import readable
from config.secrets import Secrets
from holdfast.domain.custody import Actor, Via
from holdfast.domain.directory import actor, find_named
from holdfast.domain.intake_sources import SentrySource
from holdfast.domain.policy import Policy
from holdfast.domain.report import Report
from holdfast.errors import InvalidInput, Unauthenticated

log = structlog.get_logger(__name__)

# Sentry may tell of one event by several webhooks, and sends each again after a failure.
_RECEIPTS: Final = UUID("2d0c1f0e-3a8b-4f0e-9c53-7a1d5b6e8f20")
_NAME: Final = 200
_NOTE: Final = "Sentry says that it is resolved"


@dataclass(frozen=True)
class SentryInbox:
    """Takes what Sentry sends."""

    policy: Callable[[], Policy]
    secrets: Secrets
    reception: Reception
    desk: IncidentDesk

    async def verify(self, body: bytes, signature: str | None) -> None:
        """Make sure that Sentry sent a body, for one of the policy file's integrations.

        Its timestamp is not signed, so that it says nothing.

        Args:
            body: As it came in.
            signature: The header ``Sentry-Hook-Signature``.

        Raises:
            Unauthenticated: If it did not.
        """
        given = (signature or "").strip().encode()
        for secret in await readable(self.secrets, self._source.secrets):
            expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()
            if hmac.compare_digest(expected, given):
                return
        raise Unauthenticated(
            "this is not signed by Sentry with the client secret of any integration; check "
            "intake.sentry.secrets"
        )

    async def take(self, body: bytes, *, resource: str | None) -> None:
        """Take one webhook; what has no counterpart here changes nothing.

        Args:
            body: As it came in.
            resource: The header ``Sentry-Hook-Resource``, which says what it is about.

        Raises:
            InvalidInput: If it can't be read, or belongs to no service.
            Unavailable: If it can't be kept or passed on now; Sentry sends it again.
        """
        with _reading(""):
            hook = Hook.model_validate(parsed(body))
        match (resource, hook.action):
            case ("event_alert", "triggered"):
                rule = hook.data.get("triggered_rule")
                await self._event(hook.data, "event", rule=str(rule) if rule else None)
            case ("error", "created"):
                await self._event(hook.data, "error", rule=None)
            case ("issue", "created" | "unresolved" | "resolved"):
                await self._issue(hook)
            case ("metric_alert", "critical" | "warning" | "resolved"):
                await self._metric_alert(hook)
            case _:
                log.debug("Sentry tells what is not obeyed", resource=resource, action=hook.action)

    async def _event(self, data: dict[str, Any], name: str, *, rule: str | None) -> None:
        with _reading(f"data.{name}"):
            event = Event.model_validate(data.get(name))
            report = report_of_event(event, self._source, rule=rule)
        await self._report(report, receipt=str(uuid5(_RECEIPTS, event.event_id)))

    async def _issue(self, hook: Hook) -> None:
        with _reading("data.issue"):
            issue = Issue.model_validate(hook.data.get("issue"))
            service = service_of_issue(issue, self._source)
            if hook.action != "resolved":
                report = report_of_issue(issue, self._source)
        if hook.action == "resolved":
            await self._end(service, issue_key(issue.id), hook)
        else:
            await self._report(report)

    async def _metric_alert(self, hook: Hook) -> None:
        with _reading("data"):
            alert = MetricAlert.model_validate(hook.data)
            service = service_of_alert(alert, self._source)
            if hook.action != "resolved":
                report = report_of_alert(alert, self._source, level=hook.action)
        if hook.action == "resolved":
            await self._end(service, alert.key, hook)
        else:
            await self._report(report)

    async def _report(self, report: Report, *, receipt: str | None = None) -> None:
        [taken] = await self.reception.take([report], receipt=receipt)
        if taken.refusal:
            raise taken.refusal

    async def _end(self, service: str, fingerprint: str, hook: Hook) -> None:
        by = self._actor(hook)
        await self.desk.resolve_error(service, fingerprint, by=by, note=_NOTE)

    def _actor(self, hook: Hook) -> Actor:
        """Who did it there, as the person whom the policy file knows, if it does."""
        name = (hook.actor.name or "").strip() or "Sentry"
        policy = self.policy()
        if person := find_named(policy, name):
            return actor(policy, person, via=Via.SENTRY)
        return Actor(name=name[:_NAME], via=Via.SENTRY)

    @property
    def _source(self) -> SentrySource:
        return self.policy().intake.sentry


@contextmanager
def _reading(place: str) -> Iterator[None]:
    """Say of whatever is wrong where in the webhook it is."""
    try:
        yield
    except ValidationError as error:
        found = field_problems(error.errors(include_url=False, include_input=False))
        wrong = [(each.field, each.message) for each in found]
        raise _invalid(place, wrong) from error
    except InvalidInput as error:
        raise _invalid(place, [(error.field, str(error))]) from error


def _invalid(place: str, wrong: list[tuple[str, str]]) -> InvalidFields:
    errors = [
        FieldProblem(field=f"{place}.{field}".strip("."), message=message)
        for field, message in wrong
    ]
    return InvalidFields.told("the webhook can't be taken", errors)
