"""What an incident may become, and what not."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from holdfast.domain.attempt import Attempt, AttemptStatus
from holdfast.domain.custody import Escalating, Remark
from holdfast.domain.incident import Incident
from holdfast.domain.incident_status import IncidentStatus, Resolution
from holdfast.domain.notification import Delivery, DeliveryStatus, NotificationKind
from holdfast.domain.person import Contact
from holdfast.domain.target import Target
from holdfast.errors import Conflict, IncidentAlreadyResolved
from tests.domain.nights import ADA, BOB, batch, opened, plan
from tests.domain.nights import EVENING as NOW

LATER = NOW + timedelta(minutes=1)


class Living(RuleBasedStateMachine):
    """Everything happens to one incident, in any order."""

    @initialize(count=st.integers(1, 50))
    def open(self, count):
        self.count = count
        self.incident = opened(batch(count=count))
        self.holder = None
        self.snoozed = False
        self.ending = None

    @rule(count=st.integers(1, 50))
    def report(self, count):
        self.incident = self.incident.with_reports(batch(count=count))
        self.count += count

    @rule(by=st.sampled_from([ADA, BOB]))
    def acknowledge(self, by):
        if self.ending:
            with pytest.raises(IncidentAlreadyResolved, match=self.ending):
                self.incident.acknowledged(by, at=NOW)
        elif self.holder:
            with pytest.raises(Conflict, match=f"{self.holder} has had it since 2026-03-01"):
                self.incident.acknowledged(by, at=LATER)
        else:
            self.incident = self.incident.acknowledged(by, at=NOW)
            self.holder, self.snoozed = by.name, False

    @precondition(lambda self: not self.ending)
    @rule()
    def unacknowledge(self):
        if self.holder or self.snoozed:
            self.incident = self.incident.unacknowledged()
            self.holder, self.snoozed = None, False
        else:
            with pytest.raises(Conflict, match="nobody has acknowledged it"):
                self.incident.unacknowledged()

    @precondition(lambda self: not self.ending)
    @rule()
    def snooze(self):
        self.incident = self.incident.snoozed(BOB, until=LATER, at=NOW)
        self.snoozed = True

    @precondition(lambda self: not self.ending)
    @rule()
    def reassign(self):
        self.incident = self.incident.reassigned("carol")
        self.holder, self.snoozed = None, False

    @rule(by=st.sampled_from(["ann", "bob"]), how=st.sampled_from(Resolution))
    def resolve(self, by, how):
        if self.ending:
            with pytest.raises(IncidentAlreadyResolved, match=self.ending):
                self.incident.resolved(how, by=by, at=NOW)
        else:
            self.incident = self.incident.resolved(how, by=by, at=NOW)
            self.ending = by

    @rule()
    def recover(self):
        self.incident = self.incident.recovering()

    @rule()
    def escalate(self):
        self.incident = self.incident.escalated(Escalating(reason="so", level=1))

    @invariant()
    def every_report_is_counted_once(self):
        assert self.incident.report_count == self.count

    @invariant()
    def what_a_person_did_is_not_undone(self):
        if self.ending:
            assert self.incident.status is IncidentStatus.RESOLVED
        elif self.holder:
            assert self.incident.status is IncidentStatus.ACKNOWLEDGED
        assert self.incident.acknowledged_by == self.holder
        assert self.incident.resolved_by == self.ending
        assert self.incident.is_acknowledged is (self.holder is not None)
        assert self.incident.is_snoozed is self.snoozed
        assert self.incident.is_resolved is (self.ending is not None)

    @invariant()
    def it_survives_a_restart(self):
        assert Incident.model_validate_json(self.incident.model_dump_json()) == self.incident


TestLiving = Living.TestCase


def test_an_incident_opens_as_its_plan_says():
    """It is named after the batch that opens it and keeps why it is what it is."""
    incident = opened(batch("b1", message="first\nsecond", count=7))
    assert (incident.id, incident.workflow_id) == ("b1", "incident:channels:f")
    assert incident.title == "Oops: first"
    assert (incident.category, incident.severity, incident.reason) == ("timeout", "high", "a rule")
    assert (incident.status, incident.report_count) == (IncidentStatus.TRIGGERED, 7)
    assert (incident.escalation.policy, incident.escalation.reason) == ("default", "so")


def test_without_a_policy_an_incident_says_that_nobody_is_paged():
    """Silence would look like a page under way."""
    escalation = Incident.opened(batch(), plan(None), at=NOW).escalation
    assert escalation.policy is None
    assert "nobody is paged" in escalation.reason


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("\n\n  late start\nmore", "Oops: late start"),
        (" \n ", "Oops: "),
        ("x" * 999, "Oops: " + "x" * 200),
    ],
)
def test_a_title_is_the_messages_first_line_with_text(message, title):
    """One line, of bounded length, whatever was reported."""
    assert opened(batch(message=message)).title == title


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=5))
def test_the_times_of_reports_span_all_batches(spans):
    """Batches may arrive in any order; the sample is the latest told."""
    incident = opened()
    times = [NOW]
    for number, (one, other) in enumerate(spans):
        first, last = (NOW + timedelta(seconds=s - 50) for s in sorted((one, other)))
        times += [first, last]
        incident = incident.with_reports(batch(message=str(number), first=first, last=last))
        assert incident.sample.message == str(number)
    assert (incident.first_report_at, incident.last_report_at) == (min(times), max(times))
    assert incident.quiet_at(timedelta(hours=1)) == max(times) + timedelta(hours=1)


def test_recovery_does_not_hide_that_people_were_paged():
    """An escalated incident is still escalated while recovery goes on."""
    incident = opened().recovering()
    assert incident.status is IncidentStatus.RECOVERING
    escalated = incident.escalated(Escalating(reason="so", level=1))
    assert escalated.recovering().status is IncidentStatus.ESCALATED


@pytest.mark.parametrize(
    "end",
    [
        lambda incident: incident.acknowledged(ADA, at=NOW),
        lambda incident: incident.snoozed(ADA, until=LATER, at=NOW),
        lambda incident: incident.resolved(Resolution.PERSON, by="ann", at=NOW),
    ],
)
def test_once_it_is_taken_or_over_no_page_is_announced(end):
    """What will not happen must not be shown as coming."""
    coming = {"held_until": LATER, "next_level_at": LATER, "next_level": 2}
    escalating = Escalating(reason="so", level=1, **coming)
    assert end(opened().escalated(escalating)).escalation == Escalating(reason="so", level=1)


@pytest.mark.parametrize(("level", "status"), [(0, "triggered"), (1, "escalated")])
def test_given_back_it_stands_where_it_stood(level, status):
    """Whether anybody was paged for it by then."""
    incident = opened().escalated(Escalating(reason="so", level=level)).acknowledged(ADA, at=NOW)
    assert incident.unacknowledged().status == status


def test_a_snooze_keeps_whoever_has_it():
    """Until its end, without being reminded of it or losing it before."""
    hour = timedelta(hours=1)
    taken = opened().acknowledged(ADA, at=NOW, timeout=hour, remind_before=hour / 6)
    snoozed = taken.snoozed(BOB, until=LATER, at=NOW)
    assert (snoozed.acknowledged_by, snoozed.custody.snoozed_by) == ("Ada Lovelace", "Bob")
    assert (snoozed.custody.remind_at, snoozed.custody.ends_at) == (None, None)


def test_a_snooze_into_the_past_is_refused():
    """It would be over before it began; somebody mistook the time zone."""
    with pytest.raises(Conflict, match=r"2026-03-01T22:00:00\+00:00 has passed already"):
        opened().snoozed(ADA, until=NOW, at=NOW)


@pytest.mark.parametrize(
    "deed",
    [
        lambda incident: incident.unacknowledged(),
        lambda incident: incident.snoozed(ADA, until=LATER, at=NOW),
        lambda incident: incident.reassigned("carol"),
    ],
)
def test_nothing_is_done_to_what_is_over(deed):
    """The answer says who ended it and when."""
    over = opened().resolved(Resolution.PERSON, by="ada", at=NOW)
    with pytest.raises(IncidentAlreadyResolved, match="it was resolved by ada at 2026-03-01"):
        deed(over)


def test_handed_over_it_is_nobodys_until_they_take_it():
    """Whom it was handed to is on it, for whoever looks."""
    incident = opened().acknowledged(ADA, at=NOW).reassigned("bob")
    assert (incident.status, incident.acknowledged_by) == (IncidentStatus.ESCALATED, None)
    assert incident.custody.assigned_to == "bob"


def test_a_link_works_once():
    """A message that is forwarded must not act twice; other links are not concerned."""
    used = opened().linked("a")
    with pytest.raises(Conflict, match="this link was used already"):
        used.linked("a")
    assert used.linked("b").custody.used_links == ("a", "b")


def test_the_last_hundred_notes_are_kept():
    """All of them are in the audit log."""
    incident = opened()
    for number in range(101):
        incident = incident.remarked(Remark(at=NOW, by="ada", text=str(number)))
    assert [incident.remarks[0].text, incident.remarks[-1].text] == ["1", "100"]
    assert len(incident.remarks) == 100


def attempt(number=1, **fields):
    fields = {"of": 2, "started_at": NOW + timedelta(seconds=number)} | fields
    return Attempt(step="restart", action="restart", number=number, **fields)


def test_an_attempts_end_takes_its_beginnings_place():
    """Each attempt is listed once; the next one follows."""
    done = attempt(1, status=AttemptStatus.FAILED, reason="it stayed down", finished_at=LATER)
    incident = opened().attempting(attempt(1)).attempting(done).attempting(attempt(2))
    assert incident.attempts == (done, attempt(2))


def test_two_attempts_at_one_time_stay_two():
    """Steps that are passed over take no time."""
    skipped = attempt(1, status=AttemptStatus.SKIPPED)
    incident = opened().attempting(skipped).attempting(skipped)
    assert incident.attempts == (skipped, skipped)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "restart (attempt 1 of 2): running"),
        ({"of": 1, "status": "failed", "reason": "no"}, "restart: failed, no"),
    ],
)
def test_an_attempt_reads_as_a_sentence(fields, text):
    """Pages and the UI show it."""
    assert str(attempt(**fields)) == text


def delivery(number, *, target="ops", kind=NotificationKind.PAGE, status=DeliveryStatus.QUEUED):
    return Delivery(
        notification_id=f"n{number}",
        kind=kind,
        target=Target(channel=target),
        level=1,
        round=1,
        status=status,
        queued_at=NOW,
    )


def test_a_deliverys_result_takes_its_place():
    """Side by side deliveries end in any order."""
    incident = opened().delivering(delivery(1)).delivering(delivery(2))
    sent = delivery(1, status=DeliveryStatus.SENT)
    assert incident.delivering(sent).deliveries == (sent, delivery(2))


def test_who_was_told_is_whose_page_arrived():
    """Each contact once, however often it was paged; not whom no page reached."""
    incident = opened()
    for each in [
        delivery(1, target="a", status=DeliveryStatus.SENT),
        delivery(2, target="a", status=DeliveryStatus.DELIVERED),
        delivery(3, target="b", status=DeliveryStatus.FAILED),
        delivery(4, target="c", status=DeliveryStatus.CANCELLED),
        delivery(5, target="d", kind=NotificationKind.ACKNOWLEDGED, status=DeliveryStatus.SENT),
        delivery(6, target="e", status=DeliveryStatus.BUNDLED),
        delivery(7, target="f", status=DeliveryStatus.HELD),
    ]:
        incident = incident.delivering(each)
    assert [each.notification_id for each in incident.told()] == ["n2", "n6"]


def test_who_was_told_over_two_contacts_is_told_over_both():
    """A person whose first contact did not work and who was then reached over the second."""
    incident = opened()
    for number, channel in enumerate(("sms", "mail")):
        page = delivery(number, status=DeliveryStatus.SENT)
        contact = Contact(channel=channel, to="ada")
        incident = incident.delivering(page.model_copy(update={"contact": contact}))
    assert [each.notification_id for each in incident.told()] == ["n0", "n1"]


def test_actions_may_name_the_reports_fields_and_the_incidents_own():
    """A report cannot pass for the incident."""
    opening = batch(context={"channel": "news"}, category="billing", severity="low")
    parameters = opened(opening).parameters
    assert parameters["context"] == {"channel": "news"}
    assert parameters["incident"] == {"id": "b1", "fingerprint": "f", "title": "Oops: it failed"}
    assert (parameters["category"], parameters["severity"]) == ("timeout", "high")
    assert parameters["service"] == "channels"


def test_a_headline_shows_what_was_tried():
    """The last ten attempts, as sentences, and what comes next."""
    incident = opened()
    for number in range(1, 13):
        done = attempt(number, of=12, status=AttemptStatus.FAILED)
        incident = incident.attempting(done)
    headline = incident.headline("soon")
    assert headline.tried[0] == "restart (attempt 3 of 12): failed"
    assert (len(headline.tried), headline.outlook) == (10, "soon")
