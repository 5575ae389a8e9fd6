"""Owns what the bare endpoint tells the bare workflow."""

from dataclasses import dataclass
from typing import Any

TASK_QUEUE = "bare"


@dataclass
class Errand:
    """One error and what is to be done about it.

    Attributes:
        report: The error as it was told.
        local_activities: How many empty local activities run first, one after the other.
        post_to: Where the one regular activity posts the report.
    """

    report: dict[str, Any]
    local_activities: int
    post_to: str
