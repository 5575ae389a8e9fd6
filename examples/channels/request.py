"""What a request for an action must prove, and how a repeated one gets its first answer again."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from http import HTTPStatus

from fastapi import HTTPException, Request
from standardwebhooks import Webhook, WebhookVerificationError

from examples.channels.view import Outcome

ANSWERS_KEPT = 1000

Act = Callable[[], Coroutine[None, None, Outcome]]


class Signature:
    """Lets a request pass that is signed after Standard Webhooks.

    Args:
        secret: The shared secret, ``whsec_...``; without one every request passes.
    """

    def __init__(self, secret: str | None) -> None:
        self._webhook = Webhook(secret) if secret else None

    async def verify(self, request: Request) -> None:
        """Check the request.

        Raises:
            HTTPException: 401, the signature is missing, wrong or too old.
        """
        if self._webhook is None:
            return
        body = await request.body()
        try:
            self._webhook.verify(body, dict(request.headers), json_parse=False)
        # The library raises plain ValueErrors for a header that is not shaped like a signature.
        except (WebhookVerificationError, ValueError) as error:
            raise HTTPException(HTTPStatus.UNAUTHORIZED, f"signature: {error}") from error


class Answers:
    """The outcomes of actions by idempotency key; a key is acted on once, even by two at a time."""

    def __init__(self) -> None:
        self._tasks: OrderedDict[str, asyncio.Task[Outcome]] = OrderedDict()

    async def once(self, key: str, act: Act) -> Outcome:
        """Act, or wait for what the same key got or will get.

        The action goes on when its caller hangs up: who asks again then gets its outcome.
        """
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(act())
            self._forget()
        return await asyncio.shield(task)

    def _forget(self) -> None:
        """Let the oldest go, but none that is under way: it may be asked for, or broken off."""
        while len(self._tasks) > ANSWERS_KEPT and next(iter(self._tasks.values())).done():
            self._tasks.popitem(last=False)

    async def close(self) -> None:
        """Break off what is still under way."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
