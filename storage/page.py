"""Owns the page of a list, and the opaque cursor that says where the next one begins."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, Self, TypeVar

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from holdfast.domain.model import Model
from holdfast.errors import InvalidInput

Item = TypeVar("Item")

_PLACE: TypeAdapter[tuple[AwareDatetime, str]] = TypeAdapter(tuple[AwareDatetime, str])


class Page(Model, Generic[Item]):
    """Some of a list.

    Attributes:
        cursor: Asks for what follows; None on the last page.
    """

    items: tuple[Item, ...]
    cursor: str | None = None

    @classmethod
    def cut(
        cls, found: Sequence[Item], *, limit: int, place: Callable[[Item], tuple[datetime, str]]
    ) -> Self:
        """Make a page of a query's answer.

        Args:
            found: At the most one more than the limit; that one only tells that there is more.
            limit: How many the page may hold.
            place: An item's time and id, by which the list is ordered.
        """
        items = tuple(found[:limit])
        more = len(found) > limit
        return cls(items=items, cursor=write_cursor(*place(items[-1])) if more else None)


def write_cursor(at: datetime, key: str) -> str:
    """The cursor of what comes after this place in a list."""
    return urlsafe_b64encode(json.dumps([at.isoformat(), key]).encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """The time and id of the last item that was seen.

    Raises:
        InvalidInput: If no page ever gave this cursor.
    """
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        return _PLACE.validate_json(urlsafe_b64decode(padded))
    except (ValueError, ValidationError) as error:
        raise InvalidInput(
            "this cursor cannot be read; take it unchanged from the page before", field="cursor"
        ) from error
