"""Owns what comes from PagerDuty: what people there do to alerts of ours."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from pydantic import Field, ValidationError

from activities.channels.pagerduty import incident_of
from api.incident_book import IncidentBook
from api.incident_desk import IncidentDesk
from api.vendor_secrets import readable
from config.secrets import Secrets
from holdfast.domain.channel import ChannelKind, PagerDutyChannel
from holdfast.domain.custody import Actor, Via
from holdfast.domain.directory import actor, find_named, find_person
from holdfast.domain.model import Model
from holdfast.domain.policy import Policy
from holdfast.errors import Conflict, InvalidInput, NotFound, Unauthenticated

log = structlog.get_logger(__name__)

_VERSION: Final = "v1="
_NAME: Final = 200
# Two incidents became one there, which ends neither of ours.
_MERGED: Final = "merge_resolve_reason"


class _Agent(Model):
    """Who did it: a user, or what sent an event; with it the name."""

    type: str | None = None
    summary: str | None = None

    @property
    def is_integration(self) -> bool:
        """Whether an event to a service's integration did it, such as one of ours."""
        return (self.type or "").endswith("integration_reference")


class _ResolveReason(Model):
    """Why an incident is over there."""

    type: str | None = None


class _Incident(Model):
    """An incident of PagerDuty's, as the events that are obeyed hold it.

    The documentation of v3 webhooks has an ``incident_key`` in it. That is the dedup key where a
    service creates incidents only; where it creates alerts and incidents, the alert has it, and
    this was seen to be null.
    """

    incident_key: str | None = None
    title: str | None = None
    resolve_reason: _ResolveReason | None = None


class _Event(Model):
    """What happened; its data is an incident for the types that are obeyed."""

    event_type: str
    agent: _Agent | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class _Webhook(Model):
    """One delivery, which holds one event."""

    event: _Event


_OBEYED: Final = frozenset(
    {"incident.acknowledged", "incident.unacknowledged", "incident.resolved"}
)


@dataclass(frozen=True)
class PagerDutyInbox:
    """Takes what PagerDuty sends."""

    policy: Callable[[], Policy]
    secrets: Secrets
    desk: IncidentDesk
    book: IncidentBook

    async def verify(self, body: bytes, signatures: str | None) -> None:
        """Make sure that PagerDuty sent a body, for one of the policy file's channels.

        Args:
            body: As it came in.
            signatures: The header ``X-PagerDuty-Signature``: several while a secret is changed.

        Raises:
            Unauthenticated: If it did not.
        """
        given = [each.strip().encode() for each in (signatures or "").split(",")]
        channels = self.policy().channels.values()
        references = [
            reference
            for channel in channels
            if isinstance(channel, PagerDutyChannel)
            for reference in channel.webhook_secrets
        ]
        for secret in await readable(self.secrets, references):
            digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            expected = f"{_VERSION}{digest}".encode()
            if any(hmac.compare_digest(expected, each) for each in given):
                return
        raise Unauthenticated(
            "this is not signed by PagerDuty with any secret of a pagerduty channel; check "
            "webhook_secrets"
        )

    async def take(self, body: bytes) -> None:
        """Do to our incident what was done to PagerDuty's.

        What can't be done, because it was done before or the incident is over, is only logged:
        PagerDuty would give up on us after a few refusals.

        Raises:
            InvalidInput: If it can't be read.
            Unavailable: If an incident can't be found or told now; PagerDuty sends it again.
        """
        try:
            event = _Webhook.model_validate_json(body).event
            if event.event_type not in _OBEYED or not _is_a_persons(event):
                return
            theirs = _Incident.model_validate(event.data)
        except ValidationError as error:
            raise InvalidInput("this is not a v3 webhook as PagerDuty describes it") from error
        called = incident_of(theirs.incident_key, theirs.title or "")
        if called is None or _is_merged(theirs):
            return
        try:
            await self._do(event.event_type, await self.book.find(called), self._actor(event.agent))
        except (Conflict, NotFound, InvalidInput) as error:
            log.info("a deed in PagerDuty changes nothing", incident=called, why=str(error))

    async def _do(self, event_type: str, incident_id: str, by: Actor) -> None:
        match event_type:
            case "incident.acknowledged":
                await self.desk.acknowledge(incident_id, by=by)
            case "incident.unacknowledged":
                await self.desk.unacknowledge(incident_id, by=by)
            case "incident.resolved":
                await self.desk.resolve(incident_id, by=by)

    def _actor(self, agent: _Agent | None) -> Actor:
        """Who did it there, as the person whom the policy file knows, if it does."""
        name = ((agent.summary if agent else None) or "").strip() or "PagerDuty"
        policy = self.policy()
        person = find_person(policy, ChannelKind.EMAIL, name) or find_named(policy, name)
        if person:
            return actor(policy, person, via=Via.PAGERDUTY)
        return Actor(name=name[:_NAME], via=Via.PAGERDUTY)


def _is_a_persons(event: _Event) -> bool:
    """Whether somebody did it there, and neither an event of ours nor PagerDuty's own timers.

    An echo that comes late must not act again: our acknowledgement, after somebody took it back.
    And how long an acknowledgement lasts is the escalation policy's to say.
    """
    return event.agent is not None and not event.agent.is_integration


def _is_merged(incident: _Incident) -> bool:
    return incident.resolve_reason is not None and incident.resolve_reason.type == _MERGED
