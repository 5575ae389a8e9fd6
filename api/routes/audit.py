"""Owns the route of the audit log: who did what, when, to what; as JSON, CSV or JSON lines."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.authentication import Viewer
from api.dependencies import ServicesDependency
from api.documentation import example
from api.examples import AUDIT, AUDIT_CSV, AUDIT_LINES
from api.listing import Listing
from holdfast.domain.audit import AuditEvent
from holdfast.domain.model import Name
from holdfast.domain.severity import Severity
from storage.audit import AuditFilter, StoredEntry

router = APIRouter(tags=["audit"])

_COLUMNS: Final = tuple(StoredEntry.model_fields)
# A spreadsheet takes a cell that begins so for a formula, and reports' texts come from anybody.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class AuditQuery(BaseModel):
    """Which facts; what is not given asks nothing."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime | None = Field(
        None, description="The first moment that counts.", examples=["2026-03-01T00:00:00Z"]
    )
    until: AwareDatetime | None = Field(None, description="The first moment that no longer counts.")
    service: Name | None = Field(None, description="About this service.")
    incident_id: str | None = Field(None, max_length=100, description="About this incident.")
    actor: str | None = Field(
        None, max_length=200, description="Done by this person or key; `holdfast` is the system."
    )
    event: AuditEvent | None = Field(None, description="Of this kind.")
    severity: Severity | None = Field(None, description="Of incidents of this severity.")
    order: Literal["newest", "oldest"] = Field("newest", description="What comes first.")
    limit: int = Field(100, ge=1, le=1000, description="How many at the most.")
    cursor: str | None = Field(
        None, max_length=500, description="Where the page begins: the `cursor` of the page before."
    )


@router.get(
    "/audit",
    summary="The audit log",
    response_description="A page of facts. The header Link leads to the next one.",
    response_model=Listing[StoredEntry],
    responses=example(AUDIT, text_csv=AUDIT_CSV, application_x_ndjson=AUDIT_LINES),
)
async def list_entries(
    request: Request,
    services: ServicesDependency,
    _: Viewer,
    query: Annotated[AuditQuery, Query()],
) -> Response:
    """List facts: who did what, when, to what.

    `Accept: text/csv` gives the same rows for a spreadsheet, `Accept: application/x-ndjson` as a
    JSON document a line. In CSV, a text that a spreadsheet would take for a formula begins with
    an apostrophe.
    """
    page = await services.audit.entries(
        AuditFilter.model_validate(query.model_dump(include=set(AuditFilter.model_fields))),
        limit=query.limit,
        cursor=query.cursor,
        newest_first=query.order == "newest",
    )
    headers = {"Vary": "Accept"}
    if page.cursor:
        following = request.url.include_query_params(cursor=page.cursor)
        headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    media_type = _preferred(request.headers.get("accept", ""))
    if write := _WRITERS.get(media_type):
        return Response(write(page.items), media_type=media_type, headers=headers)
    listing = Listing[StoredEntry](items=list(page.items), cursor=page.cursor)
    return Response(listing.model_dump_json(), media_type="application/json", headers=headers)


def _csv(entries: Iterable[StoredEntry]) -> str:
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(_COLUMNS)
    for entry in entries:
        detail = json.dumps(entry.detail, ensure_ascii=False)
        row = entry.model_dump(mode="json") | {"detail": detail}
        table.writerow([_cell(row[name]) for name in _COLUMNS])
    return written.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _json_lines(entries: Iterable[StoredEntry]) -> str:
    return "".join(f"{entry.model_dump_json()}\n" for entry in entries)


_WRITERS: Final[Mapping[str, Callable[[Iterable[StoredEntry]], str]]] = {
    "text/csv": _csv,
    "application/x-ndjson": _json_lines,
}


def _preferred(accept: str) -> str:
    """The media type of ours that an Accept header likes best; JSON where it leaves the choice."""
    weights = {"application/json": 0.0} | dict.fromkeys(_WRITERS, 0.0)
    for wanted in accept.split(","):
        name, *parameters = (part.strip() for part in wanted.split(";"))
        quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        if name in weights and quality.replace(".", "", 1).isdecimal():
            weights[name] = float(quality)
    return max(weights, key=lambda name: weights[name])
