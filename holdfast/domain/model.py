"""What all models of the domain share: they are frozen, and durations read as people write them."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_ISO = re.compile(r"-?P(?=.)")

# Ten years: far enough from the end of the calendar that a time plus a duration always exists.
LONGEST = timedelta(days=3650)


class Model(BaseModel):
    """A frozen value. Unknown fields are ignored, so that old workflows decode new messages."""

    model_config = ConfigDict(frozen=True)


def parse_duration(value: Any) -> Any:
    """Read ``30s``, ``1h30m`` or ``500ms``; a timedelta and ISO 8601 (``PT30S``) pass unchanged.

    Args:
        value: What the policy file or a message holds.

    Returns:
        A timedelta, or what pydantic will read as one.

    Raises:
        ValueError: For anything else, a bare number included: its unit would be a guess.
    """
    if isinstance(value, timedelta) or (isinstance(value, str) and _ISO.match(value)):
        return value
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
        # Here, because a timedelta of more than 2.7 million years is an OverflowError.
        if seconds > LONGEST.total_seconds():
            raise ValueError(f"expected a duration of at most {LONGEST.days} days, got {value!r}")
        return timedelta(seconds=seconds)
    hint = ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        hint = f": a bare number has no unit, write {value}s if seconds are meant"
    raise ValueError(
        f"expected a duration such as 500ms, 30s, 5m, 1h30m or 2d, got {value!r}{hint}"
    )


Duration = Annotated[timedelta, BeforeValidator(parse_duration), Field(ge=timedelta(0), le=LONGEST)]

NAME = r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$"
Name = Annotated[str, Field(pattern=NAME)]
