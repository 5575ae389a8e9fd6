"""One real system: what holds pages back, who is paged, and how all of that is explained."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from examples.stand_ins.slack import Message
from tests.end_to_end.office import Office, opened
from tests.end_to_end.town import until
from tests.end_to_end.vendors import ADA, AT_ONCE, BUNDLED_WITHIN

ERROR = "Broken"
STORM = 20


@pytest.fixture(scope="module")
async def office() -> AsyncIterator[Office]:
    async with opened() as office:
        yield office


async def test_a_silence_holds_a_page_until_it_ends(office: Office) -> None:
    """Planned, with a reason that the escalation shows; at its end the page goes out by itself."""
    now = datetime.now(UTC)
    ends_at = now + timedelta(seconds=6)
    planned = {
        "match": {"service": ["silenced"]},
        "starts_at": now.isoformat(),
        "ends_at": ends_at.isoformat(),
        "reason": "the cable is being moved",
    }
    answer = await office.caller.post("/silences", planned)
    assert answer.is_success, answer.text
    incident = await office.caller.opened("silenced", ERROR)
    hold = await office.hold(incident)
    assert hold["kind"] == "silence"
    assert "the cable is being moved" in hold["reason"]
    await until(lambda: office.vendors.hooks.pages(incident))
    assert office.vendors.hooks.pages(incident)[0].at >= ends_at


async def test_a_storm_pages_once_and_then_tells_of_all_others_in_one_message(
    office: Office,
) -> None:
    """The service's first page at once; the rest in one page, which says how many and which."""
    reported = datetime.now(UTC)
    first = await office.caller.opened("stormed", "Storm00")
    page = await office.page(first)
    assert datetime.now(UTC) - reported < AT_ONCE
    others = await asyncio.gather(
        *(office.caller.opened("stormed", f"Storm{number:02}") for number in range(1, STORM))
    )

    def bundles() -> list[Message]:
        return [each for other in others for each in office.posted(other)]

    await until(bundles)
    assert datetime.now(UTC) - reported > timedelta(seconds=BUNDLED_WITHIN)

    async def leading() -> list[dict[str, Any]]:
        told = [(await office.told(other))[0] for other in others]
        # One that asked while the message was on its way hears a little later that it was told.
        assert {each["status"] for each in told} <= {"sent", "bundled", "held"}
        return [each for each in told if each["status"] == "sent"]

    await until(leading)
    (bundle,) = bundles()
    assert f"{STORM - 2} more incidents" in bundle.words
    assert page.ts != bundle.ts
    (lead,) = await leading()
    named = {each["incident_id"] for each in lead["bundled"]}
    assert named | {lead["id"].partition(":")[0]} == set(others)


async def test_a_page_waits_while_what_its_service_depends_on_is_down(office: Office) -> None:
    """It says behind what it waits; once that is over, it goes out."""
    core = await office.caller.opened("core", ERROR)
    await until(lambda: office.vendors.hooks.pages(core))

    async def escalating() -> bool:
        active = await office.caller.get("/escalations/active?service=core")
        return any(each["incident_id"] == core for each in active["items"])

    await until(escalating)
    leaf = await office.caller.opened("leaf", ERROR)
    hold = await office.hold(leaf)
    assert (hold["kind"], core in hold["reason"]) == ("dependency", True)
    assert office.vendors.hooks.pages(leaf) == []
    await office.caller.post(f"/errors/{core}/resolve", {})
    await until(lambda: office.vendors.hooks.pages(leaf))


async def test_who_is_on_call_is_shown_and_is_who_is_paged(office: Office) -> None:
    """The schedule's override comes before its rotation."""
    (primary,) = (await office.caller.get("/oncall"))["items"]
    assert (primary["schedule"], primary["now"]["person"]) == ("primary", "ada")
    incident = await office.caller.opened("rota", ERROR)
    page = await office.page(incident)
    assert page.sent_to == ADA
    told = await office.told(incident)
    assert [(each["target"], each["person"]) for each in told] == [("on call: primary", "ada")]


async def test_a_simulation_says_who_would_be_paged_and_tells_nobody(office: Office) -> None:
    """The rule, the levels with their people and times; no message, no incident."""
    report = {"service": "rota", "error_type": "Imagined", "message": "it did not break"}
    answer = await office.caller.post("/escalations/simulate", {"report": report})
    assert answer.status_code == 200, answer.text
    simulation = answer.json()
    assert simulation["policy"] == "on-call"
    reached = [[each["who"] for each in step["told"]] for step in simulation["steps"]]
    assert [who for who in reached if who] == [
        ["Ada Lovelace (on call: primary)"],
        ["Grace Hopper"],
    ]
    active = (await office.caller.get("/errors/active?limit=500"))["items"]
    assert not [each for each in active if "Imagined" in each["title"]]
    assert office.vendors.told
    assert not [each for each in office.vendors.told if "Imagined" in each]


async def test_an_escalation_is_explained_whole(office: Office) -> None:
    """Why this policy, who was told over what and when, and what comes next at what time."""
    await office.page(await office.caller.opened("explained", "First"))
    incident = await office.caller.opened("explained", "Second")

    async def held() -> bool:
        return [each["status"] for each in await office.told(incident)] == ["held"]

    await until(held)
    explained = await office.caller.get(f"/escalations/{incident}")
    assert explained["policy"] == "on-call"
    assert "escalation rule 3 chose 'on-call'" in explained["reason"]
    assert explained["choices"][0]["policy"] == "on-call"
    assert explained["level"] == 1
    assert explained["next"]["what"] == "level 2 is paged unless somebody acknowledges"
    (told,) = explained["told"]
    assert "bundled with the other pages of explained" in told["reason"]
    assert told["held_until"]
