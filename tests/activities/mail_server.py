"""Owns the stand-in for a mail server: a real one on loopback, which refuses what a test says."""

import asyncio
import ssl
import subprocess
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

HOST = "127.0.0.1"
USER, PASSWORD = "mailer", "password-of-the-mailer"


@dataclass
class MailServer:
    """A real SMTP server on loopback; a test may have it answer a command in its own way."""

    tls: ssl.SSLContext | None = None
    tls_from_the_start: bool = False
    signs_in: bool = False
    recipient_answers: dict[str, str] = field(default_factory=dict)
    data_answer: str | None = None
    sender_answer: str | None = None
    hangs_at: str | None = None
    drops_at: str | None = None
    mails: list[Envelope] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    signed_in: list[tuple[bytes, bytes]] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self):
        at_first = self.tls if self.tls_from_the_start else None
        loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._server = await loop.create_server(self._session, HOST, 0, ssl=at_first)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._over.set()
        self._server.close()
        await self._server.wait_closed()

    def _session(self):
        return _Session(
            self,
            tls_context=None if self.tls_from_the_start else self.tls,
            authenticator=self._authenticate if self.signs_in else None,
            auth_required=self.signs_in,
            # The library takes only its own STARTTLS for TLS.
            auth_require_tls=not self.tls_from_the_start,
            loop=asyncio.get_running_loop(),
        )

    def _authenticate(self, server, session, envelope, mechanism, data):
        assert isinstance(data, LoginPassword)
        self.signed_in.append((data.login, data.password))
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    async def came(self, session, command):
        self.commands.append(command)
        if command == self.drops_at:
            session.transport.abort()
        if command == self.hangs_at:
            await self._over.wait()

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802  # the library looks for it
        await self.came(server, "MAIL")
        if self.sender_answer:
            return self.sender_answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802  # the library looks for it
        await self.came(server, "RCPT")
        if answer := self.recipient_answers.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  # the library looks for it
        await self.came(server, "DATA")
        if self.data_answer:
            return self.data_answer
        self.mails.append(envelope)
        return "250 OK"

    def mail(self):
        """The only email so far, as its reader sees it."""
        (envelope,) = self.mails
        return message_from_bytes(envelope.content, policy=policy.default)


class _Session(SMTP):
    def __init__(self, server, **options):
        super().__init__(server, **options)
        self._of = server

    async def smtp_NOOP(self, arg):  # noqa: N802  # the library looks for it
        await self._of.came(self, "NOOP")
        await super().smtp_NOOP(arg)

    async def smtp_QUIT(self, arg):  # noqa: N802  # the library looks for it
        await self._of.came(self, "QUIT")
        await super().smtp_QUIT(arg)


@dataclass(frozen=True)
class Certificate:
    """One that nobody but its holder trusts."""

    certificate: str
    key: str

    @property
    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_certificate(folder: Path, name: str) -> Certificate:
    """A new one, made out to a name such as ``IP:127.0.0.1``."""
    made = Certificate(str(folder / "certificate.pem"), str(folder / "key.pem"))
    options = f"""req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2
        -subj /CN=test -addext subjectAltName={name} -out {made.certificate} -keyout {made.key}
    """
    subprocess.run(["openssl", *options.split()], check=True, capture_output=True)
    return made
