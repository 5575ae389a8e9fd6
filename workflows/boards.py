"""Owns the messages that are kept up to date in place: edits are gathered, the last state lands."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.notify import NotifyActivities
from holdfast.domain.board import Board
from holdfast.domain.incident import Incident
from holdfast.domain.notification import (
    Delivery,
    Headline,
    Notification,
    NotificationKind,
    TimelineLine,
)
from holdfast.domain.outlook import outlook
from workflows.case import Case

# What changes within so long is one edit: an edit a second is what Slack takes.
_GATHERED = timedelta(seconds=2)
_TRIED_FOR = timedelta(minutes=10)
_TIMEOUT = timedelta(seconds=30)
_RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)
)


class Boards:
    """Brings every message that can be edited up to date, each at its own pace.

    Args:
        case: The incident that they show.
        boards: Those of the run before, with those of an earlier incident that was closing.
    """

    def __init__(self, case: Case, boards: tuple[Board, ...] = ()) -> None:
        self._case = case
        self._boards = {board.page.notification_id: board for board in boards}
        # What happened while a page was on its way, for its thread.
        self._coming: dict[str, tuple[TimelineLine, ...]] = {}
        self._updating: set[str] = set()
        case.on_line = self._on_line

    @property
    def carried(self) -> tuple[Board, ...]:
        """What the workflow's next run must go on with."""
        return tuple(self._boards.values())

    @property
    def left_over(self) -> tuple[Board, ...]:
        """What is not told yet of an incident that is over, for the run that has the next one."""
        behind = (self._boards[name] for name in [*self._updating, *self._behind()])
        return tuple(board.model_copy(update={"shown": self._wanted(board)}) for board in behind)

    @property
    def is_done(self) -> bool:
        """Whether every message shows what is."""
        return not self._updating and not self._behind()

    @property
    def is_updating(self) -> bool:
        """Whether an edit is on its way."""
        return bool(self._updating)

    def expect(self, notification_id: str) -> None:
        """A page is on its way: people may read it, and act, before it is known to be posted."""
        self._coming[notification_id] = ()

    def expect_no_more(self, notification_id: str) -> None:
        """A page is no longer on its way, posted or not."""
        self._coming.pop(notification_id, None)

    def post(self, page: Delivery, headline: Headline) -> None:
        """Keep a message up to date from now on, with what happened while it was on its way."""
        board = Board(page=page, shown=headline)
        lines = self._coming.get(page.notification_id, ())
        # Incidents that are open since before this left such lines out.
        if lines and workflow.patched("lines-of-pages-on-their-way"):
            for line in lines:
                board = board.with_line(line)
        self._boards[page.notification_id] = board

    async def keep(self) -> None:
        """Bring messages up to date for as long as the workflow runs."""
        while True:
            await workflow.wait_condition(lambda: bool(self._behind()))
            if not self._case.incident.is_resolved:
                await workflow.sleep(_GATHERED, summary="gathering changes for messages")
            for name in self._behind():
                self._updating.add(name)
                asyncio.create_task(self._update(name))  # noqa: RUF006  # known by _updating

    def _behind(self) -> list[str]:
        return [
            name
            for name, board in self._boards.items()
            if name not in self._updating and board.is_behind(self._wanted(board))
        ]

    def _wanted(self, board: Board) -> Headline:
        incident = self._case.incident
        return _shown(incident) if _is_of(board, incident) else board.shown

    def _on_line(self, line: TimelineLine) -> None:
        self._coming = {name: (*lines, line) for name, lines in self._coming.items()}
        for name, board in self._boards.items():
            if _is_of(board, self._case.incident):
                self._boards[name] = board.with_line(line)

    async def _update(self, name: str) -> None:
        board = self._boards[name]
        headline = self._wanted(board)
        notification = Notification(
            id=f"{name}:update:{board.number + 1}",
            kind=NotificationKind.UPDATE,
            target=board.page.target,
            contact=board.page.contact,
            person=board.page.person,
            level=board.page.level,
            round=board.page.round,
            headline=headline,
            reply_to=board.page.reference,
            bundled=board.page.bundled,
            lines=board.lines,
        )
        try:
            await workflow.execute_activity_method(
                NotifyActivities.send_notification,
                notification,
                start_to_close_timeout=_TIMEOUT,
                schedule_to_close_timeout=_TRIED_FOR,
                retry_policy=_RETRIES,
                summary=f"bring the message to {board.page.target} up to date",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                return
            # Told or not: trying the same again would not go better, the next change may.
            workflow.logger.warning("a message is not up to date: %s", error.cause)
        finally:
            self._updating.discard(name)
            told = self._boards[name]
            self._boards[name] = told.brought_up(headline, len(notification.lines))


def _is_of(board: Board, incident: Incident) -> bool:
    return board.shown.incident_id == incident.id


def _shown(incident: Incident) -> Headline:
    """What a message shows; how often the error was reported is no reason to edit one."""
    return incident.headline(outlook(incident))
