"""Owns how the page of an email's link looks: the incident, its buttons, and what went wrong."""

import base64
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from fastapi import Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from api.durations import write_duration
from api.incident_desk import Source
from holdfast.domain.incident import Incident
from holdfast.errors import Conflict, HoldfastError, Unavailable

LONGEST_NOTE: Final = 4000

_templates: Final = Environment(
    loader=PackageLoader("api", "web/act"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_style: Final = Markup(_templates.get_template("style.css").render())  # noqa: S704  # our own file
_style_hash: Final = base64.b64encode(hashlib.sha256(_style.encode()).digest()).decode()

_HEADERS: Final = {
    # The address is a key: no cache keeps the page, and no other site is told where it was.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{_style_hash}'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

_HEADINGS: Final = {
    HTTPStatus.NOT_FOUND: "This link leads nowhere",
    HTTPStatus.GONE: "This link is too old",
    HTTPStatus.SERVICE_UNAVAILABLE: "Holdfast can't do this now",
}


@dataclass(frozen=True)
class Shown:
    """An incident as one visitor sees it.

    Attributes:
        visitor: Their name.
        link: The id of the notification whose link they came by.
        targets: To whom the incident can be handed: what the form sends, and what people read.
        source: Who said so.
        done: What came of the button that they pressed.
        refusal: Why nothing came of it.
    """

    incident: Incident
    visitor: str
    link: str
    targets: Mapping[str, str]
    source: Source = Source.WORKFLOW
    done: str | None = None
    refusal: Conflict | None = None


def incident_page(shown: Shown) -> Response:
    """The incident and what can be done."""
    incident, refusal = shown.incident, shown.refusal
    age = max(datetime.now(UTC) - incident.opened_at, timedelta(0))
    return _page(
        "incident.html",
        status=refusal.status if refusal else HTTPStatus.OK,
        title=incident.title,
        incident=incident,
        visitor=shown.visitor,
        targets=shown.targets,
        age=write_duration(age),
        done=shown.done,
        refusal=_sentence(refusal) if refusal else None,
        is_used=shown.done is not None or shown.link in incident.custody.used_links,
        is_behind=shown.source is Source.RECORD and not incident.is_resolved,
        longest_note=LONGEST_NOTE,
    )


def problem_page(error: HoldfastError) -> Response:
    """Why it could not be done."""
    passing = isinstance(error, Unavailable)
    heading = _HEADINGS.get(HTTPStatus(error.status), "This could not be done")
    response = _page(
        "problem.html",
        status=error.status,
        title=heading,
        # What the stores say of themselves is nothing to whoever holds a link.
        detail=None if passing else _sentence(error),
        is_passing=passing,
    )
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = str(math.ceil(error.retry_after.total_seconds()))
    return response


def _sentence(error: HoldfastError) -> str:
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}."


def _page(template: str, *, status: int, **shown: Any) -> Response:
    page = _templates.get_template(template).render(style=_style, **shown)
    return HTMLResponse(page, status_code=status, headers=_HEADERS)
