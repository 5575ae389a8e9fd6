"""What a due page comes to: who it reaches, what holds it, and that nothing it asks delays it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from activities.escalate import EscalateActivities
from activities.page_holds import PageHolds
from holdfast.domain.hours import Hours
from holdfast.domain.notification import Hop
from holdfast.domain.page import (
    HoldKind,
    IncidentsAsked,
    Page,
    PageCause,
    PageRequest,
    PageSubject,
    Recipient,
)
from holdfast.domain.person import Contact
from holdfast.domain.policy import Policy
from holdfast.domain.severity import Severity
from holdfast.domain.silence import Silence
from holdfast.domain.target import Target
from holdfast.domain.throttle import Admission, AdmissionKind
from holdfast.errors import Unavailable
from tests.storage.samples import an_incident

NIGHT = datetime(2026, 3, 2, 3, tzinfo=UTC)
OFFICE = Hours(starts="09:00", ends="17:00")
SUBJECT = PageSubject(
    incident_id="01",
    workflow_id="incident:shop:a",
    service="shop",
    category="unknown",
    severity=Severity.HIGH,
    title="Broken: it broke",
)
CHANNELS = {"hook": {"kind": "webhook", "url": "http://x/"}}


class World:
    """Roster, silences, ledger and record in one; ``away`` is PostgreSQL's."""

    def __init__(self):
        self.away = self.hangs = False
        self.silence = self.other = None
        self.admission = Admission()
        self.asked = []
        self.withdrawn = []
        self.counts = 3

    async def recipient(self, target, *, at):
        if target.schedule:
            problem = "nobody is on call"
            return Recipient(target=target, who="nobody", problem=problem), NIGHT
        contact = target.contact or Contact(channel="hook", to=target.person)
        hop = Hop(contact=contact, deadline=timedelta(minutes=1))
        return Recipient(target=target, who=str(target), hops=(hop,)), None

    def holding(self, *, service, category, labels, at):
        return self.silence

    async def _answer(self, found):
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise Unavailable("PostgreSQL cannot be reached")
        return found

    async def admit(self, asked, *, now):
        self.asked.append(asked)
        return await self._answer(self.admission)

    async def withdraw(self, incident_id):
        await self._answer(None)
        self.withdrawn.append(incident_id)

    async def opened_since(self, service, since):
        return await self._answer(self.counts)

    async def escalating_of(self, services, *, besides):
        return await self._answer(self.other)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def activities(world):
    policy = Policy.model_validate({"channels": CHANNELS})
    holds = PageHolds(silences=world, incidents=world)
    return EscalateActivities(
        policy=lambda: policy, roster=world, holds=holds, ledger=world, incidents=world
    )


def request(*targets, cause=PageCause.LEVEL, **fields):
    targets = targets or (Target(person="ada"),)
    page = Page(number=2, level=1, round=1, targets=targets, cause=cause)
    return PageRequest(at=NIGHT, subject=SUBJECT, page=page, policy="default", **fields)


async def test_each_target_is_looked_up_and_admitted(activities, world):
    """The name that the ledger knows a page by is the one that its receiver will see."""
    order = await activities.prepare_page(request(Target(person="ada"), Target(channel="hook")))
    assert [each.who for each in order.recipients] == ["ada", "hook"]
    assert [each.notification_id for each in world.asked] == ["01:page:2:1", "01:page:2:2"]
    assert {each.group for each in world.asked} == {"shop"}


async def test_nobody_on_call_is_not_asked_for_at_the_ledger(activities, world):
    """There is no contact to protect; the problem is told."""
    order = await activities.prepare_page(request(Target(schedule="primary")))
    assert order.recipients[0].problem == "nobody is on call"
    assert order.shift_ends_at == NIGHT
    assert not world.asked


async def test_what_the_ledger_says_is_the_recipients_admission(activities, world):
    world.admission = Admission(kind=AdmissionKind.WAIT, until=NIGHT, reason="bundled")
    order = await activities.prepare_page(request())
    assert order.recipients[0].admission == world.admission


@pytest.mark.parametrize("trouble", ["away", "hangs"])
async def test_no_page_waits_for_postgresql(activities, world, trouble):
    """One too many is better than none: it goes out, soon."""
    setattr(world, trouble, True)
    targets = [Target(person=f"person-{number}") for number in range(20)]
    # Less than the five seconds after which the workflow would have it looked up again.
    async with asyncio.timeout(4):
        order = await activities.prepare_page(request(*targets, depends_on=("database",)))
    async with asyncio.timeout(4):
        assert await activities.count_incidents(
            IncidentsAsked(at=NIGHT, service="shop", spans=(timedelta(hours=1),))
        )
    assert {each.admission.kind for each in order.recipients} == {AdmissionKind.SEND}


def silence():
    return Silence(
        id="s1",
        starts_at=NIGHT,
        ends_at=NIGHT + timedelta(hours=2),
        created_by="ada",
        created_at=NIGHT,
        reason="new disks",
    )


async def test_a_silence_holds_the_page_until_its_end(activities, world):
    """And says who wanted it, and why."""
    world.silence = (silence(), NIGHT + timedelta(hours=2))
    hold = (await activities.prepare_page(request())).hold
    assert (hold.kind, hold.until, hold.by) == (
        HoldKind.SILENCE,
        NIGHT + timedelta(hours=2),
        "s1",
    )
    assert hold.reason == "silenced by ada: new disks"


async def test_out_of_its_hours_a_policy_pages_when_they_begin(activities):
    hold = (await activities.prepare_page(request(hours=OFFICE))).hold
    assert (hold.kind, hold.until) == (HoldKind.HOURS, NIGHT.replace(hour=9))


async def test_what_a_service_depends_on_holds_its_page(activities, world):
    """The hold names the other incident's workflow, which says when it is over."""
    world.other = an_incident("02", service="database")
    hold = (await activities.prepare_page(request(depends_on=("database",)))).hold
    assert (hold.kind, hold.by) == (HoldKind.DEPENDENCY, world.other.workflow_id)
    assert "shop depends on database, which has the open incident 02" in hold.reason


async def test_an_incident_that_is_no_longer_waited_for_holds_nothing(activities, world):
    world.other = an_incident("02", service="database")
    asked = request(depends_on=("database",), not_behind=(world.other.workflow_id,))
    assert (await activities.prepare_page(asked)).hold is None


@pytest.mark.parametrize("cause", [PageCause.REASSIGNED, PageCause.URGED])
async def test_what_a_person_asked_for_is_held_by_nothing(activities, world, cause):
    world.silence = (silence(), NIGHT + timedelta(hours=2))
    assert (await activities.prepare_page(request(cause=cause, hours=OFFICE))).hold is None
