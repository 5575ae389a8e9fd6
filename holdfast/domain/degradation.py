"""Owns degradation: serving less on purpose, in ordered levels that each turn features off."""

from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, Field

from holdfast.domain.holds import Hold, held, released
from holdfast.domain.model import Model, Name


class DegradationLevel(Model):
    """One level; a service at a level has the features of it and of all lower levels off."""

    name: str = Field(min_length=1, max_length=100)
    features_off: tuple[Name, ...] = Field(min_length=1)


class Degradation(Model):
    """How far a service is degraded: to the deepest level that an incident holds.

    Attributes:
        levels: The service's levels, as the latest hold knew them.
        level: 0 for full service.
        since: When the present level was entered; None before the first change.
    """

    service: Name
    levels: tuple[DegradationLevel, ...] = ()
    level: int = 0
    since: AwareDatetime | None = None
    holds: tuple[Hold, ...] = ()

    @property
    def features_off(self) -> tuple[str, ...]:
        """The features that are off now."""
        return tuple(name for each in self.levels[: self.level] for name in each.features_off)

    def held(self, hold: Hold, *, levels: tuple[DegradationLevel, ...], at: datetime) -> Self:
        """The degradation with an incident holding a level."""
        return self._settled(held(self.holds, hold), levels, at)

    def released(self, incident_id: str, *, at: datetime) -> Self:
        """The degradation without an incident's hold."""
        return self._settled(released(self.holds, incident_id), self.levels, at)

    def _settled(
        self, holds: tuple[Hold, ...], levels: tuple[DegradationLevel, ...], at: datetime
    ) -> Self:
        wanted = max((hold.level for hold in holds), default=0)
        level = min(wanted, len(levels))
        since = self.since if level == self.level else at
        return self.model_copy(
            update={"holds": holds, "levels": levels, "level": level, "since": since}
        )
