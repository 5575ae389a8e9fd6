"""The five stories, in the order in which they are told."""

from collections.abc import Awaitable, Callable
from typing import Final

from examples.demo.stage import Stage
from examples.demo.stories import breaker, crash, escalation, fallback, restart
from examples.demo.teller import Ending, Teller

Story = Callable[[Stage, Teller], Awaitable[Ending]]

STORIES: Final[tuple[tuple[str, Story], ...]] = (
    ("A stream dies", restart.tell),
    ("An ingest goes away for good", fallback.tell),
    ("An ingest keeps refusing, and is spared", breaker.tell),
    ("Nothing helps, and people are asked", escalation.tell),
    ("Holdfast itself is killed while it pages", crash.tell),
)
