"""Owns silences: planned times in which what matches is recovered, but pages nobody."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from holdfast.domain.hours import TimeZone
from holdfast.domain.model import Model
from holdfast.domain.report import Category

LONGEST = timedelta(days=366)


class Matcher(Model):
    """Which incidents: all that is given must hold, of a list any; ``*`` stands for any text.

    Attributes:
        labels: All of these, by name; of the latest report.
    """

    service: tuple[str, ...] = Field((), max_length=100)
    category: tuple[Category, ...] = Field((), max_length=100)
    labels: Mapping[str, str] = Field(default_factory=dict, max_length=50)

    def __str__(self) -> str:
        parts = [
            *([f"service {' or '.join(self.service)}"] if self.service else []),
            *([f"category {' or '.join(self.category)}"] if self.category else []),
            *(f"{name}={pattern}" for name, pattern in self.labels.items()),
        ]
        return ", ".join(parts) or "everything"

    @property
    def is_empty(self) -> bool:
        """Whether nothing is given: every incident is one of them."""
        return not (self.service or self.category or self.labels)

    def fits(self, *, service: str, category: str, labels: Mapping[str, str]) -> bool:
        """Whether an incident is one of them."""
        return (
            (not self.service or any(fnmatchcase(service, each) for each in self.service))
            and (not self.category or category in self.category)
            and all(
                name in labels and fnmatchcase(labels[name], pattern)
                for name, pattern in self.labels.items()
            )
        )


class SilenceState(StrEnum):
    """Whether a silence holds pages now, will, or does no more."""

    ACTIVE = "active"
    PLANNED = "planned"
    PAST = "past"


class Silence(Model):
    """A planned time, once or again and again.

    Attributes:
        id: Names it.
        match: Which incidents it holds the pages of; nothing given matches all.
        starts_at: Its first moment.
        ends_at: The first moment after it; of the first time, if it recurs.
        recurrence: When it comes again, as RFC 5545 has it (``FREQ=WEEKLY;BYDAY=SU``).
        time_zone: By whose clock it recurs.
        created_by: Who wanted it.
        reason: Why.
        over_at: When the last of its times ends; None if it recurs without end.
        ended_at: When somebody ended it before its time.
        ended_by: Who.
    """

    id: str
    match: Matcher = Matcher()
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    recurrence: str | None = Field(None, max_length=500)
    time_zone: TimeZone = "UTC"
    created_by: str = Field(min_length=1, max_length=200)
    reason: str = Field(min_length=1, max_length=2000)
    created_at: AwareDatetime
    over_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    ended_by: str | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if not timedelta(0) < self.ends_at - self.starts_at <= LONGEST:
            raise ValueError(
                f"ends_at: expected a time after starts_at, {LONGEST.days} days at most"
            )
        return self

    @property
    def duration(self) -> timedelta:
        """How long each time of it is."""
        return self.ends_at - self.starts_at

    def is_over(self, at: datetime) -> bool:
        """Whether it never holds anything again."""
        return any(end is not None and end <= at for end in (self.ended_at, self.over_at))
