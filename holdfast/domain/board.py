"""Owns the board: a message that is brought up to date in place, with the timeline beside it."""

from typing import Self

from holdfast.domain.model import Model
from holdfast.domain.notification import Delivery, Headline, TimelineLine

# A thread that was not written for hours is told the end of what it missed.
_KEPT_LINES = 50


class Board(Model):
    """One page that its channel can edit, and what it does not show yet.

    Attributes:
        page: The page that was posted.
        shown: The headline that it shows.
        lines: What its thread is still to be told.
        number: How often it was brought up to date.
    """

    page: Delivery
    shown: Headline
    lines: tuple[TimelineLine, ...] = ()
    number: int = 0

    def with_line(self, line: TimelineLine) -> Self:
        """The board with one more line to tell."""
        return self.model_copy(update={"lines": (*self.lines, line)[-_KEPT_LINES:]})

    def is_behind(self, headline: Headline) -> bool:
        """Whether it has lines to tell, or shows something else than what is.

        How often the error was reported changes all the time, and is no reason to edit a message.
        """
        count = {"report_count": self.shown.report_count}
        return bool(self.lines) or self.shown != headline.model_copy(update=count)

    def brought_up(self, headline: Headline, told: int) -> Self:
        """The board after an update that told so many of its lines."""
        return self.model_copy(
            update={"shown": headline, "lines": self.lines[told:], "number": self.number + 1}
        )
