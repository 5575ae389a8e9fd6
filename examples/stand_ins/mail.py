"""Owns a stand-in for a mail server: real SMTP on loopback; it keeps every mail that it took."""

import asyncio
import email.policy
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from typing import Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Trouble = Callable[[SMTP], Awaitable[str]]
"""What a mail gets in the place of being taken; gives the server's line."""

# RFC 5322, 3.6: what a mail must say; a subject and an id are what every reader goes by.
_HEADERS = ("From", "To", "Date", "Subject", "Message-ID")
_TAKEN = "250 2.0.0 taken"


@dataclass(frozen=True)
class Mail:
    """A mail that was taken.

    Attributes:
        recipients: Whom the envelope names.
    """

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def subject(self) -> str:
        """Its subject."""
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        """Its plain text."""
        body = self.message.get_body(("plain",))
        return str(body.get_content()).replace("\r\n", "\n") if body else ""


class MailServer:
    """Takes mail from one account.

    Args:
        username: The account.
        password: Signs in.

    Attributes:
        refusals: Why mails were refused.
        troubles: Given to the next mails, one each, instead of taking them.
    """

    def __init__(self, username: str, password: str) -> None:
        self.mails: list[Mail] = []
        self.refusals: list[str] = []
        self.troubles: deque[Trouble] = deque()
        self._account = (username.encode(), password.encode())
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server else 0

    def to(self, address: str) -> list[Mail]:
        """What was sent to an address."""
        return [each for each in self.mails if address in each.recipients]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def protocol() -> SMTP:
            # Without TLS, which a connection that never leaves the machine can do without; that
            # somebody signed in is checked below, since aiosmtpd warns when it is to insist on it.
            return SMTP(
                self,
                hostname="localhost",
                loop=loop,
                auth_require_tls=False,
                authenticator=self._authenticated,
            )

        self._server = await loop.create_server(protocol, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    def _authenticated(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object
    ) -> AuthResult:
        is_known = isinstance(given, LoginPassword) and (given.login, given.password) == (
            self._account
        )
        return AuthResult(success=is_known, handled=False)

    async def handle_DATA(  # noqa: N802  # aiosmtpd looks for this name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take a mail; the server's line."""
        if self.troubles:
            return await self.troubles.popleft()(server)
        if not session.authenticated:
            return self._refused("530 5.7.0 Authentication required")
        content = envelope.content or b""
        raw = content.encode() if isinstance(content, str) else content
        message = message_from_bytes(raw, _class=EmailMessage, policy=email.policy.default)
        missing = [name for name in _HEADERS if not message[name]]
        if missing or message.defects:
            return self._refused(f"554 5.6.0 missing: {missing}, defects: {message.defects}")
        self.mails.append(Mail(envelope.mail_from or "", tuple(envelope.rcpt_tos), message))
        return _TAKEN

    def _refused(self, line: str) -> str:
        self.refusals.append(line)
        return line


def says(line: str) -> Trouble:
    """Answer with a line such as ``451 4.3.0 try again later``."""

    async def answer(_: SMTP) -> str:
        return line

    return answer


async def drops(server: SMTP) -> str:
    """Close the connection without an answer."""
    if isinstance(server.transport, asyncio.Transport):
        server.transport.abort()
    return _TAKEN


async def hangs(_: SMTP) -> str:
    """Give no answer for as long as the connection lasts."""
    await asyncio.Event().wait()
    raise AssertionError
