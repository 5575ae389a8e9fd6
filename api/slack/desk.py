"""Owns what people in Slack ask for: it is done as the person they are, and answered privately.

A page shows by itself what became of its incident. So a click there is answered only when it was
refused; a click elsewhere, and every command, always.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, assert_never
from uuid import uuid4

import structlog

from activities.channels.slack_actions import SlackAction
from activities.channels.sms_text import short_id
from api.incident_desk import IncidentDesk
from api.slack.answers import plainly, refusal, tell
from api.slack.errands import Errands
from api.slack.interaction import Click, Command, Interaction
from api.slack.people import how_to_link, known
from holdfast.domain.custody import Actor
from holdfast.domain.incident import Incident
from holdfast.domain.policy import Policy
from holdfast.errors import HoldfastError, InvalidInput

log = structlog.get_logger(__name__)

# Slack shows an error when it has no answer after three seconds
# (docs.slack.dev/interactivity/handling-user-interaction); the rest is the way there and back.
PATIENCE: Final = timedelta(seconds=2.5)

Obey = Callable[[str, Actor], Awaitable[str]]
"""Does what somebody typed and says in plain text what came of it; see ``api.words.obey``."""

_DONE: Final = {
    SlackAction.ACKNOWLEDGE: "you have it",
    SlackAction.UNACKNOWLEDGE: "given back, its escalation goes on",
    SlackAction.RESOLVE: "resolved",
    SlackAction.ESCALATE: "the next level is paged",
    SlackAction.SNOOZE: "snoozed",
}


class SlackDesk:
    """Takes clicks and commands, and returns in time for Slack whatever Temporal does.

    Args:
        incidents: Passes deeds on.
        obey: Understands what is typed.
        policy: Gives the present policy: who is who.
        patience: How long a deed may take before it goes on behind the answer.
    """

    def __init__(
        self,
        *,
        incidents: IncidentDesk,
        obey: Obey,
        policy: Callable[[], Policy],
        patience: timedelta = PATIENCE,
    ) -> None:
        self._incidents = incidents
        self._obey = obey
        self._policy = policy
        self._errands = Errands(patience=patience)

    async def interact(self, interaction: Interaction, *, channel: str) -> None:
        """Do what was clicked; what takes longer than Slack waits is finished afterwards.

        Args:
            interaction: What was clicked, and by whom.
            channel: The Slack channel of the policy file that it came through.
        """
        if interaction.clicks:
            await self._errands.is_done(self._errands.start(self._clicked(interaction, channel)))

    async def command(self, command: Command, *, channel: str) -> str:
        """Do what was typed.

        Returns:
            The answer as markup; empty when it takes longer than Slack waits and comes later.
        """
        answer = self._errands.start(self._commanded(command, channel))
        if await self._errands.is_done(answer):
            return answer.result()

        async def later() -> None:
            await tell(command.response_url, await answer)

        self._errands.start(later())
        return ""

    async def stop(self) -> None:
        """Give what is under way a moment, then end it."""
        await self._errands.stop()

    async def _clicked(self, interaction: Interaction, channel: str) -> None:
        for click in interaction.clicks:
            deed = partial(self._done, click)
            answer = await self._answer(interaction.user_id, channel, deed)
            if answer:
                await tell(interaction.response_url, answer)

    async def _commanded(self, command: Command, channel: str) -> str:
        async def deed(by: Actor) -> str:
            return plainly(await self._obey(command.text, by))

        return await self._answer(command.user_id, channel, deed)

    async def _answer(
        self, user_id: str, channel: str, deed: Callable[[Actor], Awaitable[str]]
    ) -> str:
        """What came of a deed, as markup; somebody unknown does none."""
        by = known(self._policy(), user_id)
        if by is None:
            return how_to_link(user_id, channel=channel)
        try:
            return await deed(by)
        except HoldfastError as error:
            log.info("somebody in Slack was refused", by=by.name, why=str(error))
            return refusal(error)
        except Exception:  # the edge of what was asked: nobody else would tell them, or us
            reference = uuid4().hex[:12]
            log.exception("what was asked in Slack failed", reference=reference)
            return plainly(
                f"Holdfast itself went wrong; its log tells more under the reference {reference}"
            )

    async def _done(self, click: Click, by: Actor) -> str:
        incident = await self._do(click, by)
        if click.shows:
            return ""
        name = short_id(incident.id)
        return plainly(f"{name}: {_DONE[click.action]}. {incident.service}: {incident.title}")

    async def _do(self, click: Click, by: Actor) -> Incident:
        which, desk = click.incident_id, self._incidents
        match click.action:
            case SlackAction.ACKNOWLEDGE:
                return await desk.acknowledge(which, by=by)
            case SlackAction.UNACKNOWLEDGE:
                return await desk.unacknowledge(which, by=by)
            case SlackAction.RESOLVE:
                return await desk.resolve(which, by=by)
            case SlackAction.ESCALATE:
                return await desk.escalate(which, by=by)
            case SlackAction.SNOOZE:
                if not click.snooze:
                    raise InvalidInput("for how long? The message did not say", field="value")
                return await desk.snooze(which, by=by, until=datetime.now(UTC) + click.snooze)
            case _:
                assert_never(click.action)
