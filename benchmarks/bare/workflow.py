"""Owns the bare workflow: told of an error by update, it posts it, and ends."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from benchmarks.bare.activities import PostActivities, do_nothing
    from benchmarks.bare.errand import Errand

_TIMEOUT = timedelta(seconds=10)


@workflow.defn
class BareWorkflow:
    """As many activities of each kind as Holdfast's workflow has on the way that is measured."""

    def __init__(self) -> None:
        self._errand: Errand | None = None

    @workflow.run
    async def run(self) -> None:
        """Wait for the error; then the local activities, then the regular one."""
        await workflow.wait_condition(lambda: self._errand is not None)
        if self._errand is None:
            return
        for _ in range(self._errand.local_activities):
            await workflow.execute_local_activity(do_nothing, start_to_close_timeout=_TIMEOUT)
        await workflow.execute_activity_method(
            PostActivities.post, self._errand, start_to_close_timeout=_TIMEOUT
        )

    @workflow.update
    async def report(self, errand: Errand) -> str:
        """Take the error; answers with the run that has it."""
        self._errand = errand
        return workflow.info().run_id
