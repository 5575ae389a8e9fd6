"""Owns durations as the API writes and reads them: the way people do, ``1m30s``."""

from datetime import timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator, GetJsonSchemaHandler, PlainSerializer
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from holdfast.domain.model import parse_duration

_MINUTE: Final = timedelta(minutes=1)
_UNITS: Final = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("m", _MINUTE))


def write_duration(value: timedelta) -> str:
    """A duration as people write it: ``350ms``, ``1.5s``, ``2m30s``, ``3d4h``.

    It says no more than its two largest units, and ``parse_duration`` reads it back.
    """
    if value < timedelta(seconds=1):
        return f"{round(value / timedelta(milliseconds=1))}ms"
    if value < _MINUTE:
        return f"{value.total_seconds():.1f}".removesuffix(".0") + "s"
    parts: list[str] = []
    for unit, size in _UNITS:
        count, value = divmod(value, size)
        parts += [f"{count}{unit}"] if count else []
    seconds = int(value.total_seconds())
    return "".join([*parts, *([f"{seconds}s"] if seconds else [])][:2])


class _Written:
    """Says in the OpenAPI document what such a duration looks like."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "examples": ["1m30s"]}


WrittenDuration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(write_duration, return_type=str),
    _Written,
]
