"""A desk and a book that keep incidents in memory and refuse as the domain does."""

from datetime import UTC, datetime

from api.incident_book import RecordedIncidents
from holdfast.domain.custody import Remark
from holdfast.domain.incident_status import Resolution
from holdfast.errors import NotFound, Unavailable
from storage.page import Page
from tests.storage.samples import an_incident

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
INCIDENT = "01960c2e-7d3b-7c51-9a55-0b8f6f3f2d11"
OTHER = "01960c2e-7d3b-7c51-9a55-0b8f6f4c1d2e"


class FakeRecord:
    """Stands for ``storage.incidents.Incidents``; ``page`` is the most that it gives at once."""

    def __init__(self, incidents):
        self.incidents = incidents
        self.away = False
        self.page = 500

    async def active(self, *, limit, before=None):
        if self.away:
            raise Unavailable("PostgreSQL cannot be reached")
        waiting = [each for each in self.incidents.values() if not each.is_resolved]
        start = int(before or 0)
        end = start + min(limit, self.page)
        cursor = str(end) if end < len(waiting) else None
        return Page(items=tuple(waiting[start:end]), cursor=cursor)


class PeopleDesk:
    """Stands for ``IncidentDesk``; ``deeds`` is what was asked of it."""

    def __init__(self):
        self.incidents = {each: an_incident(each) for each in (INCIDENT, OTHER)}
        self.record = FakeRecord(self.incidents)
        self.book = RecordedIncidents(self.record)
        self.deeds = []
        self.reports = []
        self.trouble = None

    def put(self, incident_id, **fields):
        self.incidents[incident_id] = an_incident(incident_id, **fields)

    async def acknowledge(self, incident_id, *, by):
        return self._do("acknowledge", incident_id, by, lambda it: it.acknowledged(by, at=NOW))

    async def unacknowledge(self, incident_id, *, by):
        return self._do("unacknowledge", incident_id, by, lambda it: it.unacknowledged())

    async def resolve(self, incident_id, *, by, note=None):
        def change(incident):
            return incident.resolved(Resolution.PERSON, by=by.name, at=NOW, note=note)

        return self._do("resolve", incident_id, by, change, note=note)

    async def snooze(self, incident_id, *, by, until):
        def change(incident):
            return incident.snoozed(by, until=until, at=NOW)

        return self._do("snooze", incident_id, by, change, until=until)

    async def reassign(self, incident_id, *, by, to):
        return self._do("reassign", incident_id, by, lambda it: it.reassigned(str(to)), to=to)

    async def escalate(self, incident_id, *, by):
        return self._do("escalate", incident_id, by, lambda it: it)

    async def note(self, incident_id, *, by, text):
        remark = Remark(at=NOW, by=by.name, text=text)
        return self._do("note", incident_id, by, lambda it: it.remarked(remark), text=text)

    async def delivered(self, incident_id, report):
        self._get(incident_id)
        if self.incidents[incident_id].is_resolved:
            self.incidents[incident_id].unacknowledged()
        self.reports.append((incident_id, report))

    def _do(self, verb, incident_id, by, change, **more):
        self.deeds.append((verb, incident_id, by, more))
        self.incidents[incident_id] = change(self._get(incident_id))
        return self.incidents[incident_id]

    def _get(self, incident_id):
        if self.trouble:
            raise self.trouble
        if incident_id not in self.incidents:
            raise NotFound(f"there is no incident {incident_id}")
        return self.incidents[incident_id]
