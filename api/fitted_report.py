"""Owns the fitting of what other systems tell into what a report may have.

They know nothing of its limits, so that what is too long is shortened: refused, it would be lost.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from holdfast.domain.report import MAX_REPORT_BYTES, Report, size_of

_FRAMES: Final = 10

AnyReport = TypeVar("AnyReport", bound=Report)


def fitted(report: AnyReport) -> AnyReport:
    """The report, without what it has most of until it is short enough."""
    for shortened in _WAYS:
        if size_of(report) <= MAX_REPORT_BYTES:
            break
        report = report.model_copy(update=shortened(report))
    return report


def _without_context(report: Report) -> dict[str, object]:
    told = f"with its context the report had {size_of(report)} bytes"
    return {"context": {"left_out": told}}


def _with_inner_frames(report: Report) -> dict[str, object]:
    return {"stack": report.stack[-_FRAMES:]}


def _without_labels(_: Report) -> dict[str, object]:
    return {"labels": {}}


_WAYS: Final[tuple[Callable[[Report], dict[str, object]], ...]] = (
    _without_context,
    _with_inner_frames,
    _without_labels,
)
