"""The lists of incidents: which, in what order, page by page."""

from datetime import timedelta

import pytest

from holdfast.domain.custody import Escalating
from holdfast.domain.incident_status import IncidentStatus
from holdfast.domain.page import HoldKind, PageHold
from holdfast.domain.record import Record
from holdfast.domain.severity import Severity
from holdfast.errors import InvalidInput
from storage.incidents import IncidentCounts, Incidents
from storage.records import Records
from tests.storage.samples import NOW, an_entry, an_incident


@pytest.fixture
def keep(engine):
    async def keep(*incidents):
        for number, incident in enumerate(incidents, start=1):
            entry = an_entry(number, workflow_id=incident.workflow_id)
            await Records(engine).write(Record(entries=(entry,), incident=incident))

    return keep


def ids(page):
    return [incident.id for incident in page.items]


async def test_an_unknown_incident_is_none(engine):
    assert await Incidents(engine).get("nobody") is None


async def test_active_incidents_come_newest_first_page_by_page(engine, keep):
    """Those of one moment are ordered too, so that none falls between two pages."""
    moments = [NOW + timedelta(minutes=n // 2) for n in range(7)]
    await keep(*(an_incident(f"i{n}", opened_at=at) for n, at in enumerate(moments)))
    incidents, seen, cursor = Incidents(engine), [], None
    while True:
        page = await incidents.active(limit=3, before=cursor)
        seen.append(ids(page))
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [["i6", "i5", "i4"], ["i3", "i2", "i1"], ["i0"]]


async def test_a_page_that_is_just_full_is_the_last(engine, keep):
    await keep(an_incident("i1"), an_incident("i2"))
    assert (await Incidents(engine).active(limit=2)).cursor is None


async def test_active_incidents_can_be_narrowed_down(engine, keep):
    await keep(
        an_incident("i1", severity=Severity.LOW),
        an_incident("i2", service="billing", severity=Severity.LOW),
        an_incident("i3", service="billing"),
    )
    incidents = Incidents(engine)
    assert ids(await incidents.active(service="billing")) == ["i3", "i2"]
    assert ids(await incidents.active(severity=Severity.LOW)) == ["i2", "i1"]
    assert ids(await incidents.active(service="billing", severity=Severity.LOW)) == ["i2"]


async def test_active_incidents_of_one_status_come_page_by_page(engine, keep):
    taken, over = IncidentStatus.ACKNOWLEDGED, IncidentStatus.RESOLVED
    await keep(*(an_incident(f"i{n}", status=taken) for n in range(3)), an_incident("other"))
    await keep(an_incident("over", status=over, resolved_at=NOW))
    incidents = Incidents(engine)
    page = await incidents.active(status=taken, limit=2)
    assert ids(page) == ["i2", "i1"]
    assert ids(await incidents.active(status=taken, limit=2, before=page.cursor)) == ["i0"]
    assert ids(await incidents.active(status=over)) == []


async def test_escalated_are_those_with_a_page_sent_or_waiting(engine, keep):
    later = NOW + timedelta(minutes=5)
    await keep(
        an_incident("nobody"),
        an_incident("held", escalation=Escalating(reason="", held_until=later)),
        an_incident("paged", escalation=Escalating(reason="", level=1)),
        an_incident("next", escalation=Escalating(reason="", next_level_at=later)),
        an_incident(
            "over",
            status=IncidentStatus.RESOLVED,
            resolved_at=later,
            escalation=Escalating(reason="", level=2),
        ),
    )
    incidents = Incidents(engine)
    assert ids(await incidents.escalated()) == ["paged", "next", "held"]
    assert ids(await incidents.escalated(service="billing")) == []


async def test_opened_since_counts_a_services_incidents_whatever_became_of_them(engine, keep):
    await keep(
        an_incident("before", opened_at=NOW - timedelta(seconds=1)),
        an_incident("i1"),
        an_incident("over", status=IncidentStatus.RESOLVED, resolved_at=NOW),
        an_incident("other", service="billing"),
    )
    incidents = Incidents(engine)
    assert await incidents.opened_since("channels", NOW) == 2
    assert await incidents.opened_since("nobody", NOW) == 0


async def test_escalating_of_is_the_oldest_that_people_are_or_will_be_paged_for(engine, keep):
    """One that is being recovered and pages nobody holds nobody's page back."""
    later, taken = NOW + timedelta(minutes=5), IncidentStatus.ACKNOWLEDGED
    await keep(
        an_incident("quiet", opened_at=NOW - timedelta(hours=1)),
        an_incident("held", opened_at=NOW, escalation=Escalating(reason="", held_until=later)),
        an_incident("taken", service="billing", opened_at=later, status=taken),
    )
    incidents = Incidents(engine)

    async def found(*services, besides="nothing"):
        incident = await incidents.escalating_of(services, besides=besides)
        return incident and incident.id

    assert await found("channels", "billing") == "held"
    assert await found("channels", "billing", besides="held") == "taken"
    assert await found("channels", besides="held") is None
    assert await found() is None


async def test_held_by_are_the_active_ones_that_something_holds(engine, keep):
    def held(by):
        hold = PageHold(kind=HoldKind.SILENCE, until=NOW, reason="the disks", by=by)
        return Escalating(reason="", hold=hold)

    over = {"status": IncidentStatus.RESOLVED, "resolved_at": NOW}
    await keep(
        an_incident("i1", escalation=held("s1")),
        an_incident("i2", escalation=held("s2")),
        an_incident("i3", escalation=held(None)),
        an_incident("i4"),
        an_incident("over", escalation=held("s1"), **over),
    )
    incidents = Incidents(engine)
    assert [each.id for each in await incidents.held_by("s1")] == ["i1"]
    assert [each.id for each in await incidents.held_by("s1", "s2")] == ["i1", "i2"]
    assert await incidents.held_by("s3") == []


async def test_counts_are_of_the_active_ones(engine, keep):
    await keep(
        an_incident("i1"),
        an_incident("i2", service="billing", status=IncidentStatus.ESCALATED),
        an_incident("i3", severity=Severity.LOW),
        an_incident("i4", status=IncidentStatus.RESOLVED, resolved_at=NOW),
    )
    assert await Incidents(engine).counts() == IncidentCounts(
        total=3,
        by_status={IncidentStatus.TRIGGERED: 2, IncidentStatus.ESCALATED: 1},
        by_severity={Severity.HIGH: 2, Severity.LOW: 1},
        by_service={"channels": 2, "billing": 1},
    )


async def test_nothing_active_counts_nothing(engine):
    assert await Incidents(engine).counts() == IncidentCounts()


@pytest.mark.parametrize("cursor", ["", "nonsense", "äöü", "W10", "WyJ4IiwgInkiXQ", "a", "=" * 9])
async def test_a_made_up_cursor_is_refused(engine, cursor):
    with pytest.raises(InvalidInput, match="cursor"):
        await Incidents(engine).active(before=cursor)
