"""Pages as tests ask for them, and a ledger of one contact that keeps them in memory."""

from datetime import UTC, datetime, timedelta

from holdfast.domain.person import Contact
from holdfast.domain.severity import Severity
from holdfast.domain.throttle import (
    LEASE,
    LedgerPage,
    Limit,
    PageAsked,
    WaitingPage,
    departure,
    kept_back,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
WITHIN = 2 * MINUTE
TWO_IN_TEN = (Limit(messages=2, within=10 * MINUTE),)
PHONE = Contact(channel="sms", to="+15550100")


def asked(
    page="a",
    *,
    incident=None,
    service="channels",
    group=None,
    within=WITHIN,
    limits=(),
    contact=PHONE,
):
    return PageAsked(
        notification_id=page,
        contact=contact,
        incident_id=incident or f"i-{page}",
        workflow_id="incident:channels:f1",
        service=service,
        severity=Severity.HIGH,
        title="RtmpError: connection refused",
        group=group or service,
        limits=limits,
        bundle_within=within,
    )


class Ledger:
    """Keeps the pages of one contact in memory, as ``storage.page_ledger`` does in PostgreSQL."""

    def __init__(self):
        self.told = {}
        self.waiting = {}
        self.group_of = {}
        self.withdrawn = set()
        self.claims = {}

    def admit(self, page, now):
        name = page.notification_id
        known = self.told.get(name) or self.waiting.get(name)
        lately = tuple(each for key, each in self.told.items() if key != name)
        self.group_of[name] = page.group
        if back := kept_back(page, known=known, lately=lately, now=now):
            if known is None:
                self.waiting[name] = a_waiting(page)
            return back
        group = [
            each
            for key, each in self.waiting.items()
            if self.group_of[key] == page.group and key not in self.withdrawn
        ]
        goes = departure(page, known=known, waiting=group, now=now)
        if name not in self.told:
            self._go(page, goes.claims, now)
        return goes.admission

    def _go(self, page, claims, now):
        name = page.notification_id
        self.waiting.pop(name, None)
        self.told[name] = a_told(page, now)
        self.claims[name] = claims
        for claimed in claims:
            claim = {"claimed_by": name, "claimed_until": now + LEASE}
            count = {"claims": self.waiting[claimed].claims + 1}
            self.waiting[claimed] = self.waiting[claimed].model_copy(update=claim | count)

    def sent(self, name):
        """Gives what the message told beside its own page."""
        covered = [key for key, each in self.waiting.items() if each.claimed_by == name]
        message = self.told[name]
        for key in covered:
            page = self.waiting.pop(key)
            self.told[key] = LedgerPage(
                notification_id=key,
                incident_id=page.incident.incident_id,
                service=page.incident.service,
                group=message.group,
                at=message.at,
                told_by=name,
            )
        return covered

    def withdraw(self, incident_id):
        fitting = {k for k, e in self.waiting.items() if e.incident.incident_id == incident_id}
        self.withdrawn |= fitting


def a_told(page, at, told_by=None):
    names = {"notification_id", "incident_id", "service", "group"}
    return LedgerPage(**page.model_dump(include=names), at=at, told_by=told_by)


def a_waiting(page, **fields):
    return WaitingPage(notification_id=page.notification_id, incident=page.model_dump(), **fields)
