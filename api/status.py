"""Owns what ``GET /status`` tells: every component in detail, as far as it can be reached."""

import asyncio
from collections.abc import Mapping
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, Field

from api.health import Health
from api.services import Services
from config.policy import MissingSecret
from config.version import running_version
from holdfast.domain.channel import ChannelKind
from holdfast.domain.notification import FailureKind
from holdfast.domain.policy import Policy
from holdfast.domain.recovery import RecoveryRun, RecoveryState
from holdfast.errors import Unavailable
from storage.channel_health import ChannelHealth
from storage.channel_health import Health as Checked
from storage.incidents import IncidentCounts
from storage.intake import IntakeBacklog
from storage.presence import ALIVE_WITHIN
from storage.processes import Process
from storage.seat import MONITOR, is_taken


class PolicyProblem(BaseModel):
    """Something that the policy names and this process lacks."""

    path: str = Field(description="Where in the policy.", examples=["channels.slack.token"])
    problem: str = Field(description="What is missing, and what to do.")

    @classmethod
    def of(cls, missing: MissingSecret) -> Self:
        """A missing secret as it is shown."""
        return cls(path=missing.path, problem=missing.problem)


class PolicyStatus(BaseModel):
    """The policy file that is followed."""

    hash: str = Field(description="What this process follows.", examples=["3f2a9c0d1e4b"])
    services: int = Field(description="How many services it knows.")
    problems: list[PolicyProblem] = Field(description="What it names and this process lacks.")
    differs: bool | None = Field(
        description="Whether processes follow different policies: reload; unknown without the "
        "record."
    )


class CalendarStatus(BaseModel):
    """A schedule's calendar, as its last check found it."""

    name: str = Field(description="Its name in the policy file.")
    ok: bool | None = Field(
        description="Whether it works; unknown before the first check, and without the record."
    )
    failure: FailureKind | None = Field(
        description="The kind of failure; none if it works, or if that could not be found out."
    )
    reason: str | None = Field(description="Why it does not work.")
    since: AwareDatetime | None = Field(description="Since when it works, or does not.")
    checked_at: AwareDatetime | None = Field(description="When it was checked last.")


class ChannelStatus(CalendarStatus):
    """A channel, as its last check found it."""

    kind: ChannelKind = Field(description="What it speaks.")


def _channels(policy: Policy, checked: Mapping[str, Checked]) -> list[ChannelStatus]:
    return [
        ChannelStatus(**_found(name, checked.get(f"channels.{name}")), kind=channel.kind)
        for name, channel in policy.channels.items()
    ]


def _calendars(policy: Policy, checked: Mapping[str, Checked]) -> list[CalendarStatus]:
    return [
        CalendarStatus(**_found(name, checked.get(f"schedules.{name}")))
        for name, schedule in policy.schedules.items()
        if schedule.calendar
    ]


def _found(name: str, checked: Checked | None) -> dict[str, Any]:
    return {
        "name": name,
        "ok": checked.ok if checked else None,
        "failure": checked.kind if checked else None,
        "reason": checked.reason if checked else None,
        "since": checked.since if checked else None,
        "checked_at": checked.checked_at if checked else None,
    }


class RecoveringService(BaseModel):
    """A service on which recovery is at work, or that runs on its fallback."""

    service: str = Field(description="The service.")
    running: str | None = Field(description="The action under way.")
    queued: int = Field(description="How many runs wait for their turn.")
    fallback_since: AwareDatetime | None = Field(
        description="Since when it runs on its fallback; `POST /recovery/restore/...` ends it."
    )

    @classmethod
    def of(cls, state: RecoveryState) -> Self:
        """A service's recovery as it is shown."""
        return cls(
            service=state.service,
            running=_name(state.running),
            queued=len(state.queue),
            fallback_since=state.fallback_since,
        )


def _name(run: RecoveryRun | None) -> str | None:
    return run.request.action_name if run else None


class DegradedService(BaseModel):
    """A service that serves less."""

    service: str = Field(description="The service.")
    level: int = Field(description="Its degradation level.")


class KeyStatus(BaseModel):
    """The API keys as this process knows them."""

    active: int = Field(description="How many are good.")
    refreshed_at: AwareDatetime | None = Field(
        description="When they were last read; never while PostgreSQL was away since the start."
    )


class GuidanceStatus(BaseModel):
    """What clients are told of breakers and features."""

    revision: str = Field(description="The state of things; the same in all processes.")
    current: bool = Field(description="Whether this process hears of changes.")
    streams: int = Field(description="How many clients hear of them on this process.")


class Recorded(BaseModel):
    """What the record in PostgreSQL tells."""

    processes: list[Process] = Field(description="The processes that gave a heartbeat lately.")
    intake: IntakeBacklog = Field(description="Reports that were taken and wait for Temporal.")
    incidents: IncidentCounts = Field(description="The active incidents, counted.")
    breakers_open: list[str] = Field(
        description="The services whose breaker is open, be it by an operator."
    )
    degraded: list[DegradedService] = Field(description="The services that serve less.")
    recoveries: list[RecoveringService] = Field(
        description="The services on which recovery is at work, or that run on their fallback."
    )


class Status(BaseModel):
    """Everything about Holdfast, as this process sees it."""

    version: str = Field(description="This process's version.", examples=["0.1.0"])
    process: Process = Field(description="This process.")
    hearing: bool = Field(description="Whether messages of the other processes reach this one.")
    health: Health = Field(description="What `GET /health` says.")
    policy: PolicyStatus = Field(description="The policy file.")
    channels: list[ChannelStatus] = Field(description="The channels of the policy file.")
    calendars: list[CalendarStatus] = Field(description="The schedules that have a calendar.")
    keys: KeyStatus = Field(description="The API keys.")
    monitored: bool | None = Field(
        description="Whether a worker watches how guarded calls go; unknown without the record."
    )
    outcomes_dropped: int = Field(
        description="How many guarded calls this process was told of and could not write down, "
        "since its start: PostgreSQL was away."
    )
    guidance: GuidanceStatus = Field(description="What clients are told.")
    record: Recorded | None = Field(description="What the record tells; nothing while it is away.")
    record_problem: str | None = Field(description="Why the record tells nothing.")


async def status_of(services: Services) -> Status:
    """Gather all that can be reached; what can't is left out, and said so."""
    health, missing, checked, monitored, record = await asyncio.gather(
        services.health.health(),
        services.missing_secrets(),
        _checked(services),
        _monitored(services),
        _record(services),
    )
    policy = services.holder.policy
    recorded = record if isinstance(record, Recorded) else None
    return Status(
        version=running_version(),
        process=services.presence.process,
        hearing=services.presence.is_hearing,
        health=health,
        policy=PolicyStatus(
            hash=services.holder.current.hash,
            services=len(policy.services),
            problems=[PolicyProblem.of(each) for each in missing],
            differs=_differs(recorded, services.holder.current.hash),
        ),
        channels=_channels(policy, checked),
        calendars=_calendars(policy, checked),
        keys=KeyStatus(active=len(services.keys), refreshed_at=services.keys.refreshed_at),
        monitored=monitored,
        outcomes_dropped=services.outcome_book.dropped,
        guidance=GuidanceStatus(
            revision=services.feed.board.position,
            current=services.feed.is_current,
            streams=len(services.feed),
        ),
        record=recorded,
        record_problem=str(record) if isinstance(record, Unavailable) else None,
    )


def _differs(record: Recorded | None, ours: str) -> bool | None:
    if record is None:
        return None
    return any(process.policy_hash != ours for process in record.processes)


async def _checked(services: Services) -> dict[str, Checked]:
    """What was found of channels and calendars, by key; nothing while the record is away."""
    try:
        found = await ChannelHealth(services.engine).all()
    except Unavailable:
        return {}
    return {each.key: each for each in found}


async def _monitored(services: Services) -> bool | None:
    try:
        return await is_taken(services.engine, MONITOR)
    except Unavailable:
        return None


async def _record(services: Services) -> Recorded | Unavailable:
    entities = services.entities
    try:
        processes, intake, incidents, breakers, degraded, recoveries = await asyncio.gather(
            services.processes.alive(ALIVE_WITHIN),
            services.intake.waiting(),
            services.incidents.counts(),
            entities.breakers(),
            entities.degraded(),
            entities.recoveries(),
        )
    except Unavailable as error:
        return error
    return Recorded(
        processes=processes,
        intake=intake,
        incidents=incidents,
        breakers_open=[each.service for each in breakers if each.status.rejects],
        degraded=[DegradedService(service=each.service, level=each.level) for each in degraded],
        recoveries=[
            RecoveringService.of(each)
            for each in recoveries
            if not each.idle or each.fallback_since is not None
        ],
    )
