"""Workflows that run somewhere today must go on under tomorrow's code."""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from tests.workflows.world import WORKFLOWS

HISTORIES = sorted(Path(__file__).with_name("histories").glob("*.json"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    """The same events lead to the same commands; otherwise the change needs ``patched``."""
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    await replayer.replay_workflow(_history(path))


def _history(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())


def test_every_workflow_has_a_recorded_history() -> None:
    """A workflow without one would change unseen."""
    told = {path.stem.partition("-")[0] for path in HISTORIES}
    assert told == {"incident", "recovery", "breaker", "degradation"}
