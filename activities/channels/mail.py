"""Owns the sending of email over SMTP."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from email.headerregistry import Address
from email.utils import getaddresses
from typing import Final

import structlog
from aiosmtplib import SMTP
from aiosmtplib.errors import (
    SMTPConnectError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from activities.channels.channel import DeliveryDeferred, DeliveryRejected, Links
from activities.channels.mail_message import message
from activities.excerpt import in_a_sentence, legible
from activities.outbound import cause, seconds
from config.secrets import Secrets
from holdfast.domain.channel import EmailChannel, EmailSecurity
from holdfast.domain.notification import FailureKind, Notification, Receipt
from holdfast.errors import ConfigurationError

log = structlog.get_logger(__name__)

# RFC 5321, 4.2.1: from here on an answer is final; below, it may be another one later.
_FINAL: Final = 500
# RFC 4954, section 6, with RFC 3207's 530: who signs in, and over what, is not as the server wants.
_SIGNING_IN: Final = frozenset({530, 534, 535, 538})
# What OpenSSL calls an answer that is no TLS at all.
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"})
# The server has the message; whether it says goodbye changes nothing.
_GOODBYE_SECONDS: Final = 1


class MailSender:
    """Sends each notification as one email, over a connection of its own.

    A retry carries the same Message-ID, by which mail systems can tell it.

    Args:
        channel: As the policy file describes it.
        secrets: Gives user and password; asked each time, so that new ones need no restart.
    """

    def __init__(self, channel: EmailChannel, secrets: Secrets) -> None:
        self._channel = channel
        self._secrets = secrets

    async def send(self, notification: Notification, links: Links) -> Receipt:
        """See ``channel.Sender``; it went through when the server took it for one recipient.

        Returns:
            The Message-ID as the reference.
        """
        mail = message(
            notification,
            links,
            sender=_addresses(self._channel.sender)[0],
            recipients=self._recipients(notification),
            at=datetime.now(UTC),
        )
        async with self._connected() as server:
            refused, _ = await server.send_message(mail)
        for address, answer in refused.items():
            log.warning(
                "an email reached only some of its recipients",
                notification=notification.id,
                refused=address,
                why=f"{answer.code} {in_a_sentence(answer.message)}",
            )
        return Receipt(reference=mail["Message-ID"])

    async def check(self) -> None:
        """See ``channel.Sender``: the server is signed in to, and sent nothing."""
        async with self._connected() as server:
            await server.noop()

    async def close(self) -> None:
        """Nothing to do: no connection is kept."""

    def _recipients(self, notification: Notification) -> tuple[Address, ...]:
        to = notification.address.to or self._channel.to
        if to is None:
            raise DeliveryRejected(
                FailureKind.CONFIGURATION,
                f"neither the target nor the channel '{notification.address.channel}' has an "
                "address to send to; add to",
            )
        return _addresses(to)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[SMTP]:
        """A server that is ready to take a message; all that is done there has one timeout."""
        server = await self._server()
        try:
            with _told_apart(self._channel):
                async with asyncio.timeout(self._channel.timeout.total_seconds()):
                    await server.connect()
                    yield server
            with suppress(SMTPException, OSError):
                await server.quit(timeout=_GOODBYE_SECONDS)
        finally:
            server.close()

    async def _server(self) -> SMTP:
        channel = self._channel
        secured = channel.security is not EmailSecurity.NONE
        return SMTP(
            hostname=channel.host,
            port=channel.port,
            username=await self._secret(channel.username),
            password=await self._secret(channel.password),
            # Required when it is wanted: True never goes on without it, as None would.
            start_tls=channel.security is EmailSecurity.STARTTLS,
            use_tls=channel.security is EmailSecurity.TLS,
            tls_context=await asyncio.to_thread(_trust, channel.ca_file) if secured else None,
            timeout=channel.timeout.total_seconds(),
        )

    async def _secret(self, reference: str | None) -> str | None:
        return await asyncio.to_thread(self._secrets.resolve, reference) if reference else None


def _trust(ca_file: str | None) -> ssl.SSLContext:
    try:
        # Read each time, so that a new certificate needs no restart.
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigurationError(f"the ca_file {ca_file} cannot be used: {error}") from error


def _addresses(written: str) -> tuple[Address, ...]:
    """The addresses of a list with commas, each with or without a name before it.

    Raises:
        DeliveryRejected: If there is none, or one that cannot be read.
    """
    # On one line: a list in a policy file may be on several.
    parts = [(name, address.rpartition("@")) for name, address in getaddresses([_line(written)])]
    if not parts or not all(user and domain for _, (user, _, domain) in parts):
        reason = f"expected email addresses, separated by commas, got {in_a_sentence(written)!r}"
        raise DeliveryRejected(FailureKind.CONFIGURATION, reason)
    return tuple(Address(name, user, domain) for name, (user, _, domain) in parts)


def _line(written: str) -> str:
    return " ".join(legible(written).split())


@contextmanager
def _told_apart(channel: EmailChannel) -> Iterator[None]:
    """Says why a server took nothing, and whether it may later."""
    where = f"the mail server {channel.host}:{channel.port}"
    try:
        yield
    except SMTPRecipientsRefused as error:
        raise _refused(where, error.recipients) from error
    except SMTPResponseException as error:
        raise _answered(where, error) from error
    except TimeoutError as error:
        reason = f"{where} gave no answer within {seconds(channel.timeout)}"
        raise DeliveryDeferred(reason) from error
    except (SMTPConnectError, SMTPServerDisconnected, SMTPTimeoutError, OSError) as error:
        raise _lost(where, error) from error
    except (SMTPException, ValueError) as error:
        # What the server has not got, STARTTLS above all, or a host or address that is none.
        raise DeliveryRejected(FailureKind.CONFIGURATION, f"{where}: {cause(error)}") from error


def _refused(
    where: str, refusals: list[SMTPRecipientRefused]
) -> DeliveryRejected | DeliveryDeferred:
    """All recipients were refused: some of them only for now, if one was."""
    first = min(refusals, key=lambda refusal: refusal.code)
    return _answered(where, first, about=f" for {first.recipient}")


def _answered(
    where: str, error: SMTPResponseException, *, about: str = ""
) -> DeliveryRejected | DeliveryDeferred:
    said = in_a_sentence(error.message)
    reason = f"{where} answered {error.code}{about}" + (f": {said}" if said else "")
    if error.code < _FINAL:
        return DeliveryDeferred(reason)
    about_the_message = isinstance(error, SMTPRecipientRefused | SMTPDataError)
    if about_the_message and error.code not in _SIGNING_IN:
        return DeliveryRejected(FailureKind.REJECTED, reason)
    return DeliveryRejected(FailureKind.CONFIGURATION, reason)


def _lost(where: str, error: BaseException) -> DeliveryRejected | DeliveryDeferred:
    wrong = _tls_failure(error)
    if isinstance(wrong, ssl.SSLCertVerificationError):
        reason = f"{where} has a certificate that is not trusted: {wrong.verify_message}"
        return DeliveryRejected(FailureKind.CONFIGURATION, reason)
    if wrong is not None and wrong.reason in _NO_TLS:
        reason = f"{where} does not speak TLS from the beginning; security: starttls may be right"
        return DeliveryRejected(FailureKind.CONFIGURATION, reason)
    return DeliveryDeferred(f"{where} could not be reached: {cause(error)}")


def _tls_failure(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error
