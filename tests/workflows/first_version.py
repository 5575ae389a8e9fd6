"""The incident's workflow as it was before escalation came into the domain."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.case import Case
    from workflows.first_pager import FirstPager
    from workflows.incident import IncidentWorkflow
    from workflows.messages import CarriedIncident, IncidentInput
    from workflows.recoverer import Recoverer


@workflow.defn(name="IncidentWorkflow")
class FirstIncidentWorkflow(IncidentWorkflow):
    """Its history is one that the present workflow must take over in the middle."""

    @workflow.init
    def __init__(self, start: IncidentInput) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: IncidentInput) -> None:
        await super().run(start)

    def _take(self, case: Case, carried: CarriedIncident) -> None:
        self._case = case
        self._recoverer = Recoverer(case)
        self._pager = FirstPager(case)
        self._pager.ladder = carried.ladder
