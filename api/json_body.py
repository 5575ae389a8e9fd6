"""Owns the reading of a body as JSON, where it is not the framework that reads it."""

from typing import Any

from pydantic_core import from_json

from holdfast.errors import InvalidInput


def parsed(body: bytes) -> Any:
    """What a body holds.

    Raises:
        InvalidInput: If it is not JSON.
    """
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidInput(f"this is not JSON: {error}") from error
