"""Owns the intake of reports: one or a batch, each answered for itself."""

from typing import Annotated, Any
from uuid import UUID, uuid5

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from api.authentication import Reporter
from api.dependencies import ServicesDependency
from api.documentation import EVERYWHERE, example
from api.json_body import parsed
from api.key_ring import Caller
from api.problems import InvalidFields, Problem, field_problems, problem_of, wrong_fields_of
from api.reception import Taken
from holdfast.domain.incident_status import IncidentStatus
from holdfast.domain.report import MAX_REPORT_BYTES, CountedReport, Report, size_of
from holdfast.errors import HoldfastError, InvalidInput, PayloadTooLarge, Unavailable

router = APIRouter(tags=["incidents"])

MAX_BATCH = 1000
_EXAMPLE = {
    "service": "channels",
    "error_type": "StreamProcessDied",
    "message": "the encoder of channel news exited with code 137",
    "category": "stream_failure",
    "severity": "high",
    "context": {"channel": "news", "exit_code": 137},
    "labels": {"region": "eu-west"},
    "occurred_at": "2026-03-01T08:14:58.120Z",
}
_COUNTED = CountedReport.model_json_schema()["properties"]
_REPORT_SCHEMA = {
    "allOf": [
        {"$ref": "#/components/schemas/Report"},
        {
            "type": "object",
            "properties": {
                name: schema for name, schema in _COUNTED.items() if name not in Report.model_fields
            },
        },
    ]
}
_RECEIPTS = UUID("6f4d2b1e-58c3-4c0e-9a57-0d6b8e1f3a42")
IdempotencyKey = Annotated[str, StringConstraints(pattern=r"^[ -~]{1,200}$")]


class ReportResult(BaseModel):
    """What became of one report."""

    accepted: bool = Field(description="Whether the report is safe; if not, `problem` says why.")
    fingerprint: str | None = Field(
        None, description="What makes two reports the same error.", examples=["6f1b2f0c9d3e4a5b"]
    )
    incident_id: str | None = Field(
        None, description="The incident it belongs to, when known by now."
    )
    status: IncidentStatus | None = Field(None, description="That incident's status.")
    repeat: bool | None = Field(
        None, description="Whether that incident was open before, when known by now."
    )
    warnings: list[str] = Field(default_factory=list, description="What you may want to mend.")
    problem: Problem | None = Field(None, description="Why it was not taken.")


class ReportResults(BaseModel):
    """One result for each report, in their order."""

    results: list[ReportResult]


_DOCUMENTED = {
    **EVERYWHERE,
    **example(
        {
            "results": [
                {
                    "accepted": True,
                    "fingerprint": "6f1b2f0c9d3e4a5b",
                    "incident_id": "019a20ac-18b5-769f-a8b3-1f7fb8c363d1",
                    "status": "recovering",
                    "repeat": False,
                    "warnings": [],
                }
            ]
        },
        status=202,
    ),
}


@router.post(
    "/errors",
    status_code=202,
    summary="Report one error or a batch",
    responses=_DOCUMENTED,
    response_model_exclude_none=True,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "oneOf": [
                            _REPORT_SCHEMA,
                            {"type": "array", "items": _REPORT_SCHEMA, "maxItems": MAX_BATCH},
                        ]
                    },
                    "examples": {
                        "one": {"summary": "One report", "value": _EXAMPLE},
                        "batch": {"summary": "A batch", "value": [_EXAMPLE, _EXAMPLE]},
                    },
                }
            },
        }
    },
)
async def report_errors(
    request: Request,
    services: ServicesDependency,
    caller: Reporter,
    idempotency_key: Annotated[
        IdempotencyKey | None,
        Header(description="Names the request: however often it is sent, it counts once."),
    ] = None,
) -> ReportResults:
    """Take reports. What is answered with `accepted` is safe, whatever crashes next.

    A wrong report in a batch does not keep the others from being taken. Only when none can be
    taken is the whole answer a problem document.

    A request without an answer may be sent again: with the same `Idempotency-Key` it counts once,
    for at least a day. Reports that were not taken (`accepted` is false, with the status 503) are
    sent again alone, under the same key.
    """
    entries = _entries(await request.body())
    read = [_read(entry) for entry in entries]
    reports = [each for each in read if isinstance(each, CountedReport)]
    _refuse_if_none(read, is_batch=len(entries) > 1)
    receipt = _receipt(caller, idempotency_key) if idempotency_key else None
    answers = await services.reception.take(reports, receipt=receipt)
    services.outcome_book.take_reports(
        report
        for report, answer in zip(reports, answers, strict=True)
        if answer.refusal is None and not answer.repeated
    )
    taken = iter(answers)
    results = [
        _result(next(taken), each, services.holder.policy.services.keys())
        if isinstance(each, Report)
        else _refused(each, request.url.path)
        for each in read
    ]
    if not any(result.accepted for result in results):
        raise Unavailable("neither PostgreSQL nor Temporal can take reports now; keep them")
    return ReportResults(results=results)


def _entries(body: bytes) -> list[Any]:
    document = parsed(body)
    entries = document if isinstance(document, list) else [document]
    if not 0 < len(entries) <= MAX_BATCH:
        raise InvalidInput(f"a batch has 1 to {MAX_BATCH} reports, not {len(entries)}")
    return entries


def _receipt(caller: Caller, key: str) -> str:
    """The request's name; each caller's own, for one's key is nobody else's concern."""
    return str(uuid5(_RECEIPTS, f"{caller.name}\0{key}"))


def _read(entry: Any) -> CountedReport | HoldfastError:
    try:
        report = CountedReport.model_validate(entry, extra="forbid")
    except ValidationError as error:
        wrong = field_problems(error.errors(include_url=False, include_input=False))
        return InvalidFields.told("the report cannot be taken", wrong)
    if (size := size_of(report)) > MAX_REPORT_BYTES:
        return PayloadTooLarge(
            f"the report has {size} bytes, {MAX_REPORT_BYTES} are the most: shorten its context",
            field="context",
        )
    return report


def _refuse_if_none(read: list[CountedReport | HoldfastError], *, is_batch: bool) -> None:
    refused = [each for each in read if isinstance(each, HoldfastError)]
    if len(refused) < len(read):
        return
    if not is_batch:
        raise refused[0]
    wrong = wrong_fields_of(refused)
    raise InvalidFields("no report of the batch can be taken", errors=wrong)


def _result(taken: Taken, report: Report, known_services: Any) -> ReportResult:
    if taken.refusal:
        return _refused(taken.refusal, "/api/system/errors")
    warnings = []
    if report.service not in known_services:
        unknown = f"the policy file has no service '{report.service}'"
        warnings = [f"{unknown}: the default policy applies, without actions of its own"]
    answer = taken.answer
    return ReportResult(
        accepted=True,
        fingerprint=taken.fingerprint,
        incident_id=answer.incident_id if answer else None,
        status=answer.status if answer else None,
        repeat=answer.repeat if answer else None,
        warnings=warnings,
    )


def _refused(error: HoldfastError, path: str) -> ReportResult:
    return ReportResult(accepted=False, problem=problem_of(error, instance=path))
