"""Owns the carrying out of HTTP actions."""

import json
from dataclasses import dataclass
from datetime import timedelta

import httpx

from activities.actions.outcome import Detail, Done, NotDone
from activities.excerpt import in_a_sentence
from activities.outbound import Answer, NoAnswer, address, exchange, signature
from config.secrets import Secrets
from holdfast.domain.action import HttpAction


@dataclass(frozen=True)
class HttpActions:
    """Asks services over HTTP, each request signed and with its idempotency key."""

    http: httpx.AsyncClient
    secrets: Secrets

    async def perform(self, action: HttpAction, *, key: str, within: timedelta) -> Done:
        """Send an action's request once, with its key: a service that sees it twice was asked once.

        Raises:
            NotDone: If no answer came, or one with a status that the action does not expect.
            ConfigurationError: If a secret is missing.
        """
        what = f"http {action.method} {address(action.url)}"
        detail: Detail = {
            "kind": "http",
            "method": action.method,
            "url": address(action.url),
            "idempotency_key": key,
        }
        body = b"" if action.body is None else json.dumps(action.body).encode()
        headers = await self._headers(action, key=key, body=body)
        within = min(action.timeout, within)
        try:
            answer = await exchange(
                self.http, action.method, action.url, within=within, headers=headers, body=body
            )
        except NoAnswer as error:
            raise NotDone(f"{what}: {error}", detail=detail) from error
        detail |= _seen(answer)
        if not action.expect.include(answer.status):
            said = f": {in_a_sentence(answer.excerpt)}" if answer.excerpt.strip() else ""
            raise NotDone(
                f"{what} answered {answer.status}, expected {action.expect}{said}", detail=detail
            )
        summary = f"{what} answered {answer.status} in {answer.milliseconds} ms"
        return Done(summary, detail)

    async def _headers(self, action: HttpAction, *, key: str, body: bytes) -> httpx.Headers:
        headers = httpx.Headers({"Content-Type": "application/json"} if body else {})
        for name, value in action.headers.items():
            headers[name] = self.secrets.fill(value)
        headers["Idempotency-Key"] = key
        references = [action.secret] if action.secret else []
        signed = await signature(self.secrets, references, message_id=key, body=body)
        for name, value in signed.items():
            headers[name] = value
        return headers


def _seen(answer: Answer) -> Detail:
    return {
        "status": answer.status,
        "milliseconds": answer.milliseconds,
        "response": answer.excerpt,
    }
