"""Owns a stand-in for Twilio: it takes text messages, and sends replies and delivery reports."""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import uuid4
from xml.etree import ElementTree as ET

import httpx
from aiohttp import web
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from examples.stand_ins.callbacks import Callbacks
from examples.stand_ins.server import StandIn

API: Final = "2010-04-01"
_NUMBER: Final = re.compile(r"\+[1-9]\d{6,14}")
_LONGEST: Final = 1600
_LOOPBACK: Final = frozenset({None, "localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Text:
    """A text message that was taken.

    Attributes:
        report_to: Where its delivery is reported; None if nobody wants to know.
    """

    sid: str
    to: str
    sender: str
    body: str
    report_to: str | None


class Refused(Exception):
    """What Twilio answers with an error (twilio.com/docs/api/errors)."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(status, code, message)
        self.status, self.code, self.message = status, code, message


class TwilioStandIn(StandIn):
    """One account with one number.

    Args:
        account_sid: The account's name.
        auth_token: Signs in, and signs what it sends.
    """

    def __init__(self, account_sid: str, auth_token: str) -> None:
        super().__init__()
        self.texts: list[Text] = []
        self._account_sid = account_sid
        self._auth_token = auth_token

    def to(self, number: str) -> list[Text]:
        """What was sent to a number."""
        return [each for each in self.texts if each.to == number]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Take a message, or tell about the account."""
        try:
            self._authenticate(request)
            return await self._answer_known(request)
        except Refused as refused:
            self.refusals.append(f"{refused.code}: {refused.message}")
            body = {"code": refused.code, "message": refused.message, "status": refused.status}
            return web.json_response(body, status=refused.status)

    async def _answer_known(self, request: web.Request) -> web.StreamResponse:
        account = f"/{API}/Accounts/{self._account_sid}"
        match request.method, request.path.removeprefix(account):
            case "GET", ".json":
                return web.json_response({"sid": self._account_sid, "status": "active"})
            case "POST", "/Messages.json":
                return web.json_response(self._taken(await request.post()), status=201)
            case _:
                raise Refused(404, 20404, f"The requested resource {request.path} was not found")

    def _authenticate(self, request: web.Request) -> None:
        account = f"{self._account_sid}:{self._auth_token}".encode()
        expected = f"Basic {b64encode(account).decode()}"
        if request.headers.get("Authorization", "") != expected:
            raise Refused(401, 20003, "Authenticate")

    def _taken(self, form: Mapping[str, Any]) -> dict[str, Any]:
        _check(form)
        text = Text(
            sid=f"SM{uuid4().hex}",
            to=form["To"],
            sender=form.get("From") or form["MessagingServiceSid"],
            body=form["Body"],
            report_to=form.get("StatusCallback"),
        )
        self.texts.append(text)
        return {
            "sid": text.sid,
            "account_sid": self._account_sid,
            "api_version": API,
            "to": text.to,
            "from": text.sender,
            "body": text.body,
            "status": "queued",
            "direction": "outbound-api",
            "num_segments": "1",
            "num_media": "0",
            "error_code": None,
            "error_message": None,
        }

    async def reply(self, holdfast: Callbacks, text: Text, *, says: str) -> str:
        """Answer a text message from the number that got it; what Holdfast answers to that."""
        sid = f"SM{uuid4().hex}"
        form = {
            "MessageSid": sid,
            "SmsSid": sid,
            "SmsMessageSid": sid,
            "SmsStatus": "received",
            "AccountSid": self._account_sid,
            "ApiVersion": API,
            "From": text.to,
            "To": text.sender,
            "Body": says,
            "NumMedia": "0",
            "NumSegments": "1",
        }
        answer = await self._tell(holdfast, holdfast.address("/twilio/messages"), form)
        if answer is None or not answer.content:
            return ""
        if "xml" not in answer.headers.get("Content-Type", ""):
            self.refusals.append(f"12300: invalid content type: {answer.headers}")
            return ""
        # It comes from the API under test.
        document = ET.fromstring(answer.text)  # noqa: S314
        if document.tag != "Response":
            self.refusals.append(f"12100: no TwiML: {answer.text}")
        return " ".join("".join(each.itertext()).strip() for each in document.iter("Message"))

    async def report(
        self, holdfast: Callbacks, text: Text, status: str, *, error: int | None = None
    ) -> None:
        """Report how far a message came: ``delivered``, or ``undelivered`` with an error."""
        form = {
            "MessageSid": text.sid,
            "MessageStatus": status,
            "SmsSid": text.sid,
            "SmsStatus": status,
            "AccountSid": self._account_sid,
            "ApiVersion": API,
            "From": text.sender,
            "To": text.to,
        }
        if error:
            form["ErrorCode"] = str(error)
        if text.report_to is None:
            self.refusals.append(f"nobody wants to know of {text.sid}")
        else:
            await self._tell(holdfast, text.report_to, form)

    async def _tell(
        self, holdfast: Callbacks, address: str, form: dict[str, str]
    ) -> httpx.Response | None:
        signed = RequestValidator(self._auth_token).compute_signature(address, form)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Twilio-Signature": signed,
        }
        try:
            answer = await holdfast.post(address, urlencode(form).encode(), headers=headers)
        except httpx.HTTPError as error:
            self.refusals.append(f"11200: {address}: {error!r}")
            return None
        if not answer.is_success:
            self.refusals.append(f"11200: {address}: {answer.status_code}: {answer.text}")
            return None
        return answer


def _check(form: Mapping[str, Any]) -> None:
    if not form.get("To"):
        raise Refused(400, 21604, "A 'To' phone number is required")
    if not _NUMBER.fullmatch(form["To"]):
        raise Refused(400, 21211, f"The 'To' number {form['To']} is not a valid phone number")
    if not form.get("From") and not form.get("MessagingServiceSid"):
        raise Refused(400, 21603, "A 'From' phone number is required")
    if not form.get("Body"):
        raise Refused(400, 21602, "Message body is required")
    if len(form["Body"]) > _LONGEST:
        raise Refused(400, 21617, f"The message body exceeds the {_LONGEST} character limit")
    report_to = form.get("StatusCallback")
    if report_to and urlsplit(report_to).hostname in _LOOPBACK:
        raise Refused(400, 21609, f"The StatusCallback URL {report_to} is not a valid URL")
