"""Owns sets of HTTP statuses as people write them: ``200``, ``2xx``, ``[200, 503, 5xx]``."""

import re
from typing import Any

from pydantic import field_validator, model_validator

from holdfast.domain.model import Model

_CODE = re.compile(r"[1-5](?:\d\d|xx)")


class StatusCodes(Model):
    """A set of HTTP statuses; written as one code or a list of codes."""

    codes: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _read_short_form(cls, value: Any) -> Any:
        if isinstance(value, int | str):
            return {"codes": (str(value),)}
        if isinstance(value, list | tuple):
            return {"codes": tuple(str(code) for code in value)}
        if isinstance(value, dict | StatusCodes):
            return value
        raise ValueError(f"expected an HTTP status such as 200 or 5xx, or a list, got {value!r}")

    @field_validator("codes")
    @classmethod
    def _check(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        for code in codes:
            if not _CODE.fullmatch(code):
                raise ValueError(f"expected an HTTP status such as 200 or 5xx, got {code!r}")
        return codes

    def include(self, status: int | None) -> bool:
        """Whether a status is one of them."""
        return any(code in (str(status), f"{str(status)[0]}xx") for code in self.codes)

    def __bool__(self) -> bool:
        return bool(self.codes)

    def __str__(self) -> str:
        return ", ".join(self.codes)
