"""The passage: one call through a breaker, as a block of code."""

import logging
from datetime import timedelta
from types import TracebackType
from typing import Self

from holdfast.client.breaker import LocalBreaker
from holdfast.client.judgement import Verdict
from holdfast.client.probes import Probe
from holdfast.client.window import Window
from holdfast.domain.breaker import BreakerStatus

logger = logging.getLogger("holdfast")


class Passage:
    """``with holdfast.breaker("payments"):`` or ``async with``; for one block, made anew for each.

    Entering raises :class:`holdfast.errors.BreakerOpen` when the call is not to be made. The block
    counts as failed when an exception leaves it that counts, or when :meth:`fail` was called.

    Args:
        breaker: Of what the block calls.
    """

    __slots__ = ("_admitted", "_began", "_breaker", "_failed")

    def __init__(self, breaker: LocalBreaker) -> None:
        self._breaker = breaker
        self._admitted: Window | Probe | None = None
        self._began = 0.0
        self._failed = False

    @property
    def status(self) -> BreakerStatus:
        """The breaker's: the fleet's, while that is not closed; else this process's own."""
        self._breaker.follow()
        return self._breaker.status

    @property
    def retry_after(self) -> timedelta:
        """When it makes sense to call; nothing for now."""
        self._breaker.follow()
        return self._breaker.retry_after

    def fail(self, reason: str) -> None:
        """Have the block count as failed, though no exception leaves it.

        Args:
            reason: Why, for the debug log.
        """
        self._failed = True
        logger.debug("A call of %s failed: %s", self._breaker.service, reason)

    def __enter__(self) -> Self:
        breaker = self._breaker
        if self._admitted is not None:
            raise RuntimeError("a passage is for one block at a time: ask for another")
        self._admitted = breaker.passing or breaker.admit()
        self._failed = False
        self._began = breaker.clock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        breaker, admitted = self._breaker, self._admitted
        ended = breaker.clock()
        took = ended - self._began
        self._admitted = None
        if admitted is None:
            return
        if error is None and not self._failed:
            if ended < admitted.edge and took <= admitted.slow_after:
                admitted.count()
            else:
                breaker.settle(admitted, Verdict.PASSED, took=took)
            return
        how = Verdict.FAILED if self._failed or error is None else breaker.judge(error)
        breaker.settle(admitted, how, took=took)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)
