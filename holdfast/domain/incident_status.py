"""Owns the words for where an incident stands, and for what ended it."""

from enum import StrEnum


class IncidentStatus(StrEnum):
    """Where an incident stands."""

    TRIGGERED = "triggered"
    RECOVERING = "recovering"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """What ended an incident."""

    RECOVERED = "recovered"
    PERSON = "person"
    QUIET = "quiet"
