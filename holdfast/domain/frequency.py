"""Owns frequencies: so many occurrences within a span, and the tally that tells how many."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BeforeValidator, Field

from holdfast.domain.model import Duration, Model

_WRITTEN = re.compile(r"\s*(\d+)\s+within\s+(\S+)\s*")


class Threshold(Model):
    """So many within a span of time."""

    count: int = Field(ge=1, le=1_000_000)
    within: Duration = Field(gt=timedelta(0), le=timedelta(days=7))

    def __str__(self) -> str:
        return f"{self.count} within {self.within}"


def _read(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if found := _WRITTEN.fullmatch(value):
        return {"count": int(found[1]), "within": found[2]}
    raise ValueError(f"expected a frequency such as '50 within 5m', got {value!r}")


# ``50 within 5m``, or a mapping.
Frequency = Annotated[Threshold, BeforeValidator(_read)]

# A span is told to a sixtieth: enough to choose by, and little to carry.
_BUCKETS = 60


class Bucket(Model):
    """How many happened from a moment on, until the next bucket's."""

    at: AwareDatetime
    count: int


class Tally(Model):
    """How many happened within a span that ends now, told to a sixtieth of it."""

    span: timedelta
    buckets: tuple[Bucket, ...] = ()

    def counted(self, count: int, *, at: datetime) -> Self:
        """The tally with more added, and what has left the span dropped."""
        kept = [each for each in self.buckets if each.at > at - self.span]
        if kept and at < kept[-1].at + self.span / _BUCKETS:
            last = kept[-1]
            kept[-1] = last.model_copy(update={"count": last.count + count})
        else:
            kept.append(Bucket(at=at, count=count))
        return self.model_copy(update={"buckets": tuple(kept)})

    def total(self, *, now: datetime) -> int:
        """How many there were."""
        return sum(each.count for each in self.buckets if each.at > now - self.span)
