"""Incidents at every point between two steps of an escalation, and one kill that hits them all.

What is observable from outside says where an incident is: the answer to its report, requests that
arrive at the receiver, which may hold them open, and the audit log.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx

from examples.stand_ins.webhooks import Arrival, WebhookReceiver
from tests.end_to_end.town import Caller, until

LEVELS = ["first", "second", "third"]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# How long levels wait: one that only has to be passed; one whose end comes while no worker is
# there; and one whose end comes after what was in flight was sent again, which takes the ten
# seconds of silence by which a worker's death is noticed, and after what a receiver turned away was
# tried again, which on a busy machine may be the fifth time: fifteen seconds after the first.
PASSING, OVERDUE, LATER = timedelta(seconds=1), timedelta(seconds=10), timedelta(seconds=25)
# Some thirty in fact, for the longest wait and the levels after it.
ENDED_WITHIN = 60.0

POLICY = """
bundling: {{within: 0s}}
channels:
  first: {{kind: webhook, url: "{url}/first", secrets: ["${{HOOK_SECRET}}"], timeout: 60s}}
  second: {{kind: webhook, url: "{url}/second", secrets: ["${{HOOK_SECRET}}"], timeout: 60s}}
  third: {{kind: webhook, url: "{url}/third", secrets: ["${{HOOK_SECRET}}"], timeout: 60s}}
escalation:
  policies:
{policies}
  rules:
{rules}
"""
LADDER = """    {name}:
      hold_page_for: 0s
      levels:
        - {{targets: [{{channel: first}}], escalate_after: {0}}}
        - {{targets: [{{channel: second}}], escalate_after: {1}}}
        - {{targets: [{{channel: third}}], escalate_after: {2}}}
"""


class Point(StrEnum):
    """Where an incident is when the worker is killed; but for the first two, on some level."""

    UNSEEN = "Unseen"  # its report comes while no worker is there
    ACCEPTED = "Accepted"  # its report was answered in this moment
    LOOKED_UP = "LookedUp"  # whom the level reaches is known, and the receiver is away
    IN_FLIGHT = "InFlight"  # the receiver has the page, and has not answered
    ANSWERED = "Answered"  # the receiver answered in this moment
    RECORDED = "Recorded"  # the record says in this moment that the page was sent
    WAITING = "Waiting"  # nobody has answered for a while
    DUE = "Due"  # as before, and the next level's time comes while no worker is there
    ACKNOWLEDGING = "Acknowledging"  # the acknowledgement is on its way
    ACKNOWLEDGED = "Acknowledged"  # the acknowledgement was answered in this moment


HELD = {Point.IN_FLIGHT, Point.ANSWERED, Point.RECORDED}
TAKEN = {Point.ACKNOWLEDGING, Point.ACKNOWLEDGED}


@dataclass(frozen=True)
class Spot:
    """One incident, to be hit at one point of one level."""

    point: Point
    level: int = 1

    @property
    def error(self) -> str:
        return f"{self.point.value}{self.level}"

    @property
    def service(self) -> str:
        """What its policy is chosen by: its long wait is at the spot's level."""
        kind = {Point.DUE: "due", Point.UNSEEN: "passing"}.get(self.point, "later")
        return f"{kind}-{self.level}"

    def __str__(self) -> str:
        return self.error


SPOTS = [
    Spot(Point.UNSEEN),
    Spot(Point.ACCEPTED),
    *[
        Spot(point, level)
        for point in (Point.LOOKED_UP, Point.IN_FLIGHT, Point.ANSWERED, Point.RECORDED)
        for level in (1, 2, 3)
    ],
    *[Spot(point, level) for point in (Point.WAITING, Point.DUE) for level in (1, 2)],
    *[Spot(point) for point in Point if point in TAKEN],
]
# Reports that come in the end, when all others are where they are to be.
LAST = {Point.UNSEEN, Point.ACCEPTED}


@dataclass
class Crash:
    """The receiver's side: it brings requests to where they are to be hit.

    Attributes:
        turned_away: What a receiver that is away did not take.
        released: The points whose requests it holds no longer.
    """

    receiver: WebhookReceiver
    turned_away: list[Arrival] = field(default_factory=list)
    released: dict[Point, asyncio.Event] = field(
        default_factory=lambda: {point: asyncio.Event() for point in Point}
    )

    async def answer(self, arrival: Arrival) -> int:
        spot = spot_of(arrival)
        if arrival.type == "incident.page" and arrival.path == f"/{LEVELS[spot.level - 1]}":
            if spot.point is Point.LOOKED_UP and not self.released[spot.point].is_set():
                self.turned_away.append(arrival)
                return 503
            if spot.point in HELD:
                await self.released[spot.point].wait()
        return 204

    def pages(self, spot: Spot) -> list[Arrival]:
        """What a spot's receivers took, in its order."""
        return [
            each
            for each in self.receiver.arrivals
            if each.type == "incident.page"
            and spot_of(each) == spot
            and each not in self.turned_away
        ]

    def is_reached(self, spot: Spot) -> bool:
        """Whether a request of the spot's point is at its receiver."""
        if spot.point is Point.LOOKED_UP:
            return any(spot_of(each) == spot for each in self.turned_away)
        return len(self.pages(spot)) >= spot.level

    def is_answered(self, spot: Spot) -> bool:
        return sum(spot_of(each) == spot for each in self.receiver.answered) >= spot.level


@dataclass(frozen=True)
class Outcome:
    """What became of a spot's incident.

    Attributes:
        pages: What was taken, in its order.
        news: What else was told.
        events: What the audit log has.
    """

    incident: dict[str, Any]
    pages: list[Arrival]
    news: list[Arrival]
    events: Counter[str]


def spot_of(arrival: Arrival) -> Spot:
    return next(each for each in SPOTS if arrival.data["title"].startswith(f"{each.error}:"))


def write_policy(folder: Path, url: str) -> Path:
    names = sorted({(spot.service, spot.level) for spot in SPOTS})
    ladders, rules = [], []
    for name, level in names:
        waits = [PASSING] * 3
        waits[level - 1] = {"due": OVERDUE, "later": LATER}.get(name.partition("-")[0], PASSING)
        shown = [f"{wait.total_seconds():g}s" for wait in waits]
        ladders.append(LADDER.format(*shown, name=name))
        rules.append(f"    - {{policy: {name}, service: [{name}]}}")
    path = folder / "policy.yaml"
    path.write_text(POLICY.format(url=url, policies="".join(ladders), rules="\n".join(rules)))
    return path


async def acknowledge(
    caller: Caller, incident: str, *, on_sent: Callable[[], None] = lambda: None
) -> None:
    """Acknowledge until it is known to have worked: the answer may be lost with the worker."""

    async def trace(event: str, _: Any) -> None:
        if event == "http11.send_request_body.complete":
            on_sent()

    async def has_it() -> bool:
        path, by = f"/errors/{incident}/acknowledge", {"by": "ada"}
        answer = await caller.post(path, by, extensions={"trace": trace})
        return answer.status_code in {httpx.codes.OK, httpx.codes.CONFLICT}

    await until(has_it)


async def sent(caller: Caller, incident: str, count: int) -> bool:
    return (await caller.events(incident)).count("notification.sent") >= count


async def run(caller: Caller, crash: Crash) -> dict[Spot, Outcome]:
    """Bring every incident to its point, kill the worker, and let it all end."""
    first = [spot for spot in SPOTS if spot.point not in LAST]
    ids = await asyncio.gather(*(caller.opened(spot.service, spot.error) for spot in first))
    incidents = dict(zip(first, ids, strict=True))
    await until(lambda: all(crash.is_reached(spot) for spot in first))
    await every(first, {Point.WAITING, Point.DUE, *TAKEN}, recorded(caller, incidents))
    due = [await next_level_at(caller, incidents[s]) for s in first if s.point is Point.DUE]

    crash.released[Point.RECORDED].set()
    await every(first, {Point.RECORDED}, recorded(caller, incidents))
    crash.released[Point.ANSWERED].set()
    await until(lambda: all(crash.is_answered(s) for s in first if s.point is Point.ANSWERED))
    accepted = Spot(Point.ACCEPTED)
    await asyncio.gather(
        caller.report(accepted.service, accepted.error),
        acknowledge(caller, incidents[Spot(Point.ACKNOWLEDGED)]),
    )
    on_its_way = asyncio.Event()
    incident = incidents[Spot(Point.ACKNOWLEDGING)]
    acknowledging = asyncio.create_task(acknowledge(caller, incident, on_sent=on_its_way.set))
    await on_its_way.wait()
    await caller.system.kill("worker")
    assert datetime.now(UTC) < min(due), "this machine is too slow: a level was due before"

    unseen = Spot(Point.UNSEEN)
    await caller.report(unseen.service, unseen.error)
    for event in crash.released.values():
        event.set()
    await until(lambda: datetime.now(UTC) > max(due))
    await caller.system.start_part("worker")
    await acknowledging
    for spot in (accepted, unseen):
        incidents[spot] = await caller.found(spot.service, spot.error)
    await ended(crash)
    return {spot: await outcome(caller, crash, spot, incidents[spot]) for spot in SPOTS}


async def every(spots: list[Spot], points: set[Point], holds: Callable[[Spot], Any]) -> None:
    """Wait until something holds of every spot at some points."""
    for spot in spots:
        if spot.point in points:
            await until(lambda spot=spot: holds(spot))


def recorded(caller: Caller, incidents: dict[Spot, str]) -> Callable[[Spot], Any]:
    return lambda spot: sent(caller, incidents[spot], spot.level)


async def next_level_at(caller: Caller, incident: str) -> datetime:
    found = await caller.incident(incident)
    return datetime.fromisoformat(found["escalation"]["next_level_at"])


async def ended(crash: Crash) -> None:
    """Every level was paged, and what was in flight came again."""

    def paged(spot: Spot) -> bool:
        ids = Counter(each.id for each in crash.pages(spot))
        again = spot.point is not Point.IN_FLIGHT or max(ids.values()) > 1
        return again and len(ids) == len(expected(spot))

    await until(lambda: all(paged(spot) for spot in SPOTS), within=ENDED_WITHIN)


async def outcome(caller: Caller, crash: Crash, spot: Spot, incident: str) -> Outcome:
    levels = len(expected(spot))
    await until(lambda: sent(caller, incident, levels))
    news = [
        each
        for each in crash.receiver.arrivals
        if each.type != "incident.page" and spot_of(each) == spot
    ]
    return Outcome(
        incident=await caller.incident(incident),
        pages=crash.pages(spot),
        news=news,
        events=Counter(await caller.events(incident)),
    )


def expected(spot: Spot) -> list[str]:
    """Whom an incident pages in the end."""
    return LEVELS[:1] if spot.point in TAKEN else LEVELS
