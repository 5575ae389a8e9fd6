"""Owns what comes from Alertmanager: alerts that fire are reports, and resolved ones end theirs."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

import structlog
from pydantic import BaseModel, Field, ValidationError

from api.alertmanager_message import Alert, AlertStatus, Message, report_of, service_of
from api.incident_desk import IncidentDesk
from api.json_body import parsed
from api.problems import (
    FieldProblem,
    InvalidFields,
    field_problems,
    wrong_fields,
    wrong_fields_of,
)
from api.reception import Reception
from holdfast.domain.custody import Actor
from holdfast.domain.policy import Policy
from holdfast.domain.report import Report
from holdfast.errors import InvalidInput, Unavailable

log = structlog.get_logger(__name__)

# A group may hold hundreds of alerts that are over.
_AT_ONCE: Final = 8
_NOTE: Final = "Alertmanager says that it is over"


class Outcome(StrEnum):
    """What was done about an alert."""

    REPORTED = "reported"
    RESOLVED = "resolved"
    NOTHING_OPEN = "nothing_open"
    REFUSED = "refused"


class AlertResult(BaseModel):
    """What became of one alert."""

    outcome: Outcome
    fingerprint: str | None = Field(None, description="Its incident's fingerprint.")
    incident_id: str | None = Field(None, description="Its incident, when known by now.")
    errors: list[FieldProblem] | None = Field(None, description="Why it was refused.")


class _Over(NamedTuple):
    """An alert that is resolved: whose, and its incident's fingerprint."""

    service: str
    fingerprint: str


@dataclass(frozen=True)
class AlertmanagerInbox:
    """Takes what Alertmanager sends, and Grafana in the same form."""

    policy: Callable[[], Policy]
    reception: Reception
    desk: IncidentDesk

    async def take(self, body: bytes, *, by: Actor) -> list[AlertResult]:
        """Take the alerts of one webhook; a wrong one does not keep the others out.

        Args:
            body: As it came in.
            by: Who ends the incidents of those that are over.

        Raises:
            InvalidInput: If no alert can be taken.
            Unavailable: If not all of them are safe now; Alertmanager sends all of them again.
        """
        try:
            message = Message.model_validate(parsed(body))
        except ValidationError as error:
            raise _invalid("this is no webhook of Alertmanager's", error) from error
        read = [self._read(each, message) for each in message.alerts]
        _refuse_if_none(read)
        return await self._do(read, by)

    def _read(self, given: Any, message: Message) -> Report | _Over | InvalidInput:
        source = self.policy().intake.alertmanager
        try:
            alert = Alert.model_validate(given)
            if alert.status is AlertStatus.FIRING:
                return report_of(alert, message, source)
            return _Over(service_of(alert, source), alert.key)
        except ValidationError as error:
            refused: InvalidInput = _invalid("the alert can't be taken", error)
        except InvalidInput as error:
            refused = error
        # Alertmanager drops what is answered; this is where its owners look.
        log.warning("an alert is refused", group=message.group_key, why=str(refused))
        return refused

    async def _do(
        self, read: Sequence[Report | _Over | InvalidInput], by: Actor
    ) -> list[AlertResult]:
        reports = [each for each in read if isinstance(each, Report)]
        reported = iter(await self._reported(reports))
        ended = iter(await self._ended([each for each in read if isinstance(each, _Over)], by))
        results = []
        for each in read:
            match each:
                case Report():
                    results.append(next(reported))
                case _Over():
                    results.append(next(ended))
                case InvalidInput():
                    wrong = wrong_fields(each)
                    results.append(AlertResult(outcome=Outcome.REFUSED, errors=wrong))
        return results

    async def _reported(self, reports: Sequence[Report]) -> list[AlertResult]:
        if not reports:
            return []
        taken = await self.reception.take(reports)
        if refusal := next((each.refusal for each in taken if each.refusal), None):
            raise refusal
        return [
            AlertResult(
                outcome=Outcome.REPORTED,
                fingerprint=each.fingerprint,
                incident_id=each.answer.incident_id if each.answer else None,
            )
            for each in taken
        ]

    async def _ended(self, over: Sequence[_Over], by: Actor) -> list[AlertResult]:
        places = asyncio.Semaphore(_AT_ONCE)

        async def end(each: _Over) -> AlertResult | Unavailable:
            try:
                async with places:
                    incident = await self.desk.resolve_error(
                        each.service, each.fingerprint, by=by, note=_NOTE
                    )
            except Unavailable as error:
                return error
            return AlertResult(
                outcome=Outcome.RESOLVED if incident else Outcome.NOTHING_OPEN,
                fingerprint=each.fingerprint,
                incident_id=incident.id if incident else None,
            )

        ended = await asyncio.gather(*[end(each) for each in over])
        if away := next((each for each in ended if isinstance(each, Unavailable)), None):
            raise away
        return [each for each in ended if isinstance(each, AlertResult)]


def _invalid(what: str, error: ValidationError) -> InvalidFields:
    wrong = field_problems(error.errors(include_url=False, include_input=False))
    return InvalidFields.told(what, wrong)


def _refuse_if_none(read: Sequence[Report | _Over | InvalidInput]) -> None:
    refused = [each for each in read if isinstance(each, InvalidInput)]
    if len(refused) < len(read):
        return
    raise InvalidFields.told("no alert can be taken", wrong_fields_of(refused, within="alerts"))
