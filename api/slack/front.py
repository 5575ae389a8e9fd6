"""Owns the composition of what comes from Slack, for the process to start and stop as one."""

from collections.abc import Callable
from typing import Self

from api.incident_desk import IncidentDesk
from api.slack.desk import Obey, SlackDesk
from api.slack.signature import SlackSignatures
from api.slack.sockets import SlackSockets
from config.secrets import Secrets
from holdfast.domain.policy import Policy


class SlackFront:
    """Where Slack comes in: over HTTP, which ``api.routes.slack`` serves, or over Socket Mode.

    Attributes:
        signatures: Tell which channel's Slack app an HTTP request comes from.
        desk: Does what is asked for.
    """

    def __init__(
        self, *, signatures: SlackSignatures, desk: SlackDesk, sockets: SlackSockets
    ) -> None:
        self.signatures = signatures
        self.desk = desk
        self._sockets = sockets

    @classmethod
    def of(
        cls,
        *,
        incidents: IncidentDesk,
        obey: Obey,
        policy: Callable[[], Policy],
        secrets: Secrets,
    ) -> Self:
        """Put it together.

        Args:
            incidents: Passes deeds on.
            obey: Understands what is typed after ``/holdfast``.
            policy: Gives the present policy.
            secrets: Gives signing secrets and app tokens.
        """
        desk = SlackDesk(incidents=incidents, obey=obey, policy=policy)
        return cls(
            signatures=SlackSignatures(policy=policy, secrets=secrets),
            desk=desk,
            sockets=SlackSockets(desk=desk, policy=policy, secrets=secrets),
        )

    async def start(self) -> None:
        """Begin to listen over Socket Mode, without waiting for Slack."""
        await self._sockets.start()

    async def stop(self) -> None:
        """Listen no more, and end what is under way after a moment."""
        await self._sockets.stop()
        await self.desk.stop()
