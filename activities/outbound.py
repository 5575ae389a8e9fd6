"""Owns what all outgoing HTTP requests share: one bounded exchange, its signature, its words."""

import asyncio
import base64
import binascii
import os
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from time import monotonic

import httpx
from standardwebhooks import Webhook

from activities.excerpt import Head, in_a_sentence
from config.secrets import Secrets
from holdfast.errors import ConfigurationError, HoldfastError

_EXCERPT = 2048
_LONGEST_ASKED_WAIT = timedelta(hours=1)


class NoAnswer(HoldfastError):
    """A request was not answered; the message says why, as the end of a sentence.

    Args:
        message: Such as ``Connection refused``.
        lasting: Whether it can't go better another time: the request itself is impossible.
    """

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        excerpt: The body's first 2 kB.
    """

    status: int
    headers: httpx.Headers
    excerpt: str
    took: timedelta

    @property
    def milliseconds(self) -> int:
        """How long the whole exchange took."""
        return round(self.took.total_seconds() * 1000)


async def exchange(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    within: timedelta,
    headers: Mapping[str, str],
    body: bytes | None = None,
) -> Answer:
    """Send one request and read its whole answer, keeping only the body's beginning.

    Redirects are answers: following one would carry signed content and secrets elsewhere. The
    time is for everything from the connection to the body's last byte; httpx's own timeouts bound
    each read, which a service that drips its answer never reaches.

    Raises:
        NoAnswer: If there was none in that time.
    """
    started = monotonic()
    head = Head(_EXCERPT)
    # httpx would take text for ASCII, and a secret may hold more than that.
    encoded = httpx.Headers(headers, encoding="utf-8")
    try:
        async with asyncio.timeout(within.total_seconds()):
            request = http.build_request(method, url, content=body, headers=encoded, timeout=None)
            response = await http.send(request, stream=True, follow_redirects=False)
            try:
                async for chunk in response.aiter_bytes():
                    head.add(chunk)
            finally:
                await response.aclose()
    except TimeoutError as error:
        raise NoAnswer(f"no answer within {seconds(within)}") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise NoAnswer(f"the URL cannot be used: {error}", lasting=True) from error
    except httpx.LocalProtocolError as error:
        # Its own message would quote the header, and with it the secret.
        raise NoAnswer("a header holds what HTTP does not allow", lasting=True) from error
    except httpx.RequestError as error:
        raise NoAnswer(cause(error)) from error
    took = timedelta(seconds=monotonic() - started)
    return Answer(response.status_code, response.headers, str(head), took)


async def signature(
    secrets: Secrets, references: Iterable[str], *, message_id: str, body: bytes
) -> dict[str, str]:
    """The headers that sign a message as Standard Webhooks 1.0 says; none without a secret.

    A secret that begins with ``whsec_`` is base64, as the specification has it; any other is
    taken as it stands, its UTF-8 bytes being the key. Several secrets give several signatures in
    one header, so that a receiver may know either of them while a key is being changed.

    Raises:
        ConfigurationError: If a secret is missing or is not the base64 that it says it is.
    """
    keys = [await asyncio.to_thread(_key, secrets, reference) for reference in references]
    if not keys:
        return {}
    now = datetime.now(UTC)
    signatures = [Webhook(key).sign(message_id, now, body.decode()) for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _key(secrets: Secrets, reference: str) -> bytes:
    secret = secrets.resolve(reference)
    if not secret.startswith("whsec_"):
        return secret.encode()
    encoded = secret.removeprefix("whsec_").rstrip("=")
    try:
        # Some senders leave the padding out.
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error as error:
        raise ConfigurationError(
            f"the secret {reference} begins with whsec_ but is not base64 after that"
        ) from error
    if not key:
        raise ConfigurationError(f"the secret {reference} is empty after whsec_")
    return key


def address(url: str) -> str:
    """The URL for people: without user, password, query and fragment, where secrets may be."""
    scheme, separator, rest = url.partition("?")[0].partition("#")[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def retry_after(value: str | None, *, now: datetime) -> timedelta | None:
    """The wait that a Retry-After header asks for, in seconds or as a date (RFC 9110, 10.2.3).

    Returns:
        At most an hour; None for no header, nonsense, or a time that has passed.
    """
    asked = timedelta()
    # What cannot be read asks for nothing.
    with suppress(ValueError, OverflowError):
        text = (value or "").strip()
        if text.isdecimal():
            asked = timedelta(seconds=min(int(text), _LONGEST_ASKED_WAIT.total_seconds()))
        elif text:
            date = parsedate_to_datetime(text)
            asked = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    return min(asked, _LONGEST_ASKED_WAIT) if asked > timedelta() else None


def cause(error: BaseException) -> str:
    """What was really wrong: libraries wrap the operating system's plain words several times."""
    root = error
    while inner := _inner(root):
        root = inner
    # An SSLError's number is OpenSSL's, a failed look-up's is negative: theirs are no errno.
    number = root.errno if isinstance(root, OSError) and not isinstance(root, ssl.SSLError) else 0
    if number and number > 0:
        return os.strerror(number)
    return in_a_sentence(str(root) or str(error)) or type(error).__name__


def _inner(error: BaseException) -> BaseException | None:
    if isinstance(error, BaseExceptionGroup):
        # One failed attempt for each address of a host: the first is as good as any.
        return error.exceptions[0]
    return error.__cause__ or error.__context__


def seconds(duration: timedelta) -> str:
    """A duration for people: ``0.25 s``, ``30 s``."""
    return f"{round(duration.total_seconds(), 2):g} s"
