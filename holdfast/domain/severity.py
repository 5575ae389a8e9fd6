"""Owns severity: how bad an error is, in four ordered words."""

from enum import StrEnum


class Severity(StrEnum):
    """How bad it is; comparable, ``low < critical``."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low to 3 for critical."""
        return list(Severity).index(self)

    def at_least(self, other: "Severity") -> bool:
        """Whether this is as bad as the other, or worse."""
        return self.rank >= other.rank
