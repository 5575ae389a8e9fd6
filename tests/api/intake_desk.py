"""A reception and a desk that keep what they are told, for what other systems send."""

from api.reception import Taken
from holdfast.domain.report import fingerprint
from holdfast.errors import Unavailable
from tests.storage.samples import an_incident


class IntakeDesk:
    """Stands for ``Reception`` and ``IncidentDesk``.

    Attributes:
        reports: What was taken.
        receipts: The names of the requests that it was taken of.
        ended: What was told to be over: service, fingerprint, actor.
        open: The fingerprints that have an open incident.
        away: While set, nothing can be kept or passed on.
    """

    def __init__(self):
        self.reports = []
        self.receipts = []
        self.ended = []
        self.open = set()
        self.away = False

    async def take(self, reports, *, receipt=None):
        refusal = Unavailable("both stores are away") if self.away else None
        if not self.away:
            self.reports += reports
            self.receipts.append(receipt)
            self.open |= {fingerprint(each) for each in reports}
        return [Taken(fingerprint=fingerprint(each), refusal=refusal) for each in reports]

    async def resolve_error(self, service, key, *, by, note):
        if self.away:
            raise Unavailable("Temporal did not answer")
        self.ended.append((service, key, by))
        if key not in self.open:
            return None
        self.open.remove(key)
        return an_incident(key, service=service)
