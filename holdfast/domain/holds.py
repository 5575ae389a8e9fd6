"""Owns holds: who wants a service's breaker open or its features off, each until they let go."""

from pydantic import AwareDatetime

from holdfast.domain.model import Model


class Hold(Model):
    """One incident's wish, kept until it is released.

    Attributes:
        incident_id: Who holds; one hold each.
        level: For a degradation: the level that is wanted.
    """

    incident_id: str
    reason: str
    since: AwareDatetime
    level: int = 1


def held(holds: tuple[Hold, ...], hold: Hold) -> tuple[Hold, ...]:
    """The holds with one added; a later one of the same incident takes the earlier one's place."""
    return (*released(holds, hold.incident_id), hold)


def released(holds: tuple[Hold, ...], incident_id: str) -> tuple[Hold, ...]:
    """The holds without those of an incident."""
    return tuple(each for each in holds if each.incident_id != incident_id)
