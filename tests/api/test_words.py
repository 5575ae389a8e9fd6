from datetime import UTC, datetime, timedelta

import pytest

from api.words import HELP, obey
from holdfast.domain.custody import Actor, Via
from holdfast.domain.notification import Delivery, DeliveryStatus, NotificationKind
from holdfast.domain.person import Contact
from holdfast.domain.policy import Policy
from holdfast.domain.target import Target
from holdfast.errors import Unavailable
from tests.api.people_desk import INCIDENT, NOW, OTHER, PeopleDesk

BERLIN = "Europe/Berlin"
ADA = Actor(name="Ada Lovelace", person="ada", via=Via.SMS)
GRACE = Actor(name="Grace Hopper", person="grace", via=Via.SLACK)
TO_GRACE = Target(person="grace")
STRANGER = Actor(name="somebody", via=Via.SLACK)


def rotation(*people, time_zone="UTC"):
    layer = {"people": people, "starts_on": "2026-01-05"}
    return {"time_zone": time_zone, "layers": [layer]}


def a_policy(**schedules):
    return Policy.model_validate(
        {
            "people": {
                "ada": {
                    "name": "Ada Lovelace",
                    "contacts": [{"channel": "sms", "to": "+15550002222"}],
                },
                "grace": {
                    "name": "Grace Hopper",
                    "contacts": [{"channel": "sms", "to": "+15550003333"}],
                },
            },
            "channels": {
                "sms": {
                    "kind": "sms",
                    "account_sid": "${ACCOUNT}",
                    "auth_token": "${TOKEN}",
                    "sender": "+15550001111",
                }
            },
            "schedules": schedules or {"primary": rotation("ada", time_zone=BERLIN)},
        }
    )


def paged(person, status=DeliveryStatus.SENT, kind=NotificationKind.PAGE):
    contact = Contact(channel="sms", to="+15550002222")
    return Delivery(
        notification_id="1",
        kind=kind,
        target=Target(person=person),
        contact=contact,
        person=person,
        level=1,
        round=1,
        status=status,
        queued_at=NOW,
    )


@pytest.fixture
def desk():
    return PeopleDesk()


@pytest.fixture
def type_(desk):
    """Types something as Ada, whom the first incident was the last to page."""

    async def type_(text, *, by=ADA, newest=INCIDENT, policy=None, now=NOW, on_call=None):
        return await obey(
            text,
            desk=desk,
            book=desk.book,
            policy=policy or a_policy(),
            by=by,
            newest=newest,
            now=now,
            on_call=on_call,
        )

    return type_


@pytest.mark.parametrize(
    ("typed", "which"),
    [
        ("ack", INCIDENT),
        ("ACK", INCIDENT),
        (" Ack.\n", INCIDENT),
        ("acknowledge", INCIDENT),
        ("ack 4c1d2e", OTHER),
        ("ACK 4C1D2E", OTHER),
        ("ack #4c1d2e", OTHER),
        (f"ack {OTHER}", OTHER),
        (f"Ack {OTHER.upper()}", OTHER),
    ],
)
async def test_an_incident_is_named_by_its_end_or_not_at_all(desk, type_, typed, which):
    """What a thumb can type at night: a word, and six characters at the most."""
    answer = await type_(typed)
    assert desk.deeds == [("acknowledge", which, ADA, {})]
    assert answer == f"{which[-6:]}: you have it. channels: RtmpError: connection refused"


@pytest.mark.parametrize(
    ("typed", "deed", "answer"),
    [
        ("resolve", ("resolve", {"note": None}), "resolved"),
        ("resolve the disk was full", ("resolve", {"note": "the disk was full"}), "resolved"),
        ("resolve 3f2d11 Disk\nfull", ("resolve", {"note": "Disk\nfull"}), "resolved"),
        ("escalate", ("escalate", {}), "the next level is paged"),
        ("escalate 3f2d11", ("escalate", {}), "the next level is paged"),
        ("note facade is down", ("note", {"text": "facade is down"}), "noted"),
        ("note 3f2d11 Is it the disk?", ("note", {"text": "Is it the disk?"}), "noted"),
        ("reassign grace", ("reassign", {"to": TO_GRACE}), "handed to Grace Hopper"),
        ("reassign @Grace", ("reassign", {"to": TO_GRACE}), "handed to Grace Hopper"),
        ("reassign 3f2d11 grace HOPPER", ("reassign", {"to": TO_GRACE}), "handed to Grace Hopper"),
        ("reassign Primary", ("reassign", {"to": Target(schedule="primary")}), "handed to primary"),
    ],
)
async def test_each_word_is_a_deed(desk, type_, typed, deed, answer):
    """Text after it belongs to the deed, with its own lines and capital letters."""
    assert f"3f2d11: {answer}. channels: " in await type_(typed)
    verb, more = deed
    assert desk.deeds == [(verb, INCIDENT, ADA, more)]


async def test_what_was_taken_can_be_given_back(desk, type_):
    """Its escalation goes on."""
    await type_("ack")
    assert "given back" in await type_("unack")
    assert desk.incidents[INCIDENT].acknowledged_by is None


@pytest.mark.parametrize(
    ("typed", "until", "told"),
    [
        ("snooze 30m", NOW + timedelta(minutes=30), "13:30 Europe/Berlin"),
        ("snooze for 1h 30m", NOW + timedelta(minutes=90), "14:30 Europe/Berlin"),
        ("snooze 3f2d11 2D", NOW + timedelta(days=2), "13:00 on 03 Mar Europe/Berlin"),
        ("snooze until 17:30", datetime(2026, 3, 1, 16, 30, tzinfo=UTC), "17:30 Europe/Berlin"),
        (
            "snooze 3f2d11 until 07:30",
            datetime(2026, 3, 2, 6, 30, tzinfo=UTC),
            "07:30 on 02 Mar Europe/Berlin",
        ),
        ("snooze 13:30 UTC", datetime(2026, 3, 1, 13, 30, tzinfo=UTC), "14:30 Europe/Berlin"),
    ],
)
async def test_a_snooze_is_a_span_or_a_time_on_ones_own_clock(desk, type_, typed, until, told):
    """A clock's time is the next one, in the time zone of the schedule that somebody is in."""
    assert f"3f2d11: snoozed until {told}. " in await type_(typed)
    assert desk.deeds == [("snooze", INCIDENT, ADA, {"until": until})]


@pytest.mark.parametrize(
    ("schedules", "until"),
    [
        ({"other": rotation("grace", time_zone=BERLIN)}, datetime(2026, 3, 2, 7, 30, tzinfo=UTC)),
        (
            {"one": rotation("ada", time_zone=BERLIN), "two": rotation("ada")},
            datetime(2026, 3, 2, 7, 30, tzinfo=UTC),
        ),
    ],
)
async def test_without_one_time_zone_a_clock_shows_utc(desk, type_, schedules, until):
    """The answer says so, as always."""
    answer = await type_("snooze until 07:30", policy=a_policy(**schedules))
    assert "until 07:30 on 02 Mar UTC" in answer
    assert desk.deeds[0][3] == {"until": until}


async def test_a_night_that_loses_an_hour_ends_when_the_clock_says(desk, type_):
    """In the night to the 29th of March Berlin goes from 02:00 to 03:00."""
    await type_("snooze until 07:30", now=datetime(2026, 3, 28, 22, tzinfo=UTC))
    assert desk.deeds[0][3] == {"until": datetime(2026, 3, 29, 5, 30, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("snooze", "for how long?"),
        ("snooze a while", "for how long?"),
        ("snooze 30", "for how long?"),
        ("snooze 3f2d11", "for how long?"),
        ("snooze 123456 30x", "for how long?"),
        ("snooze 99999d", "for how long?"),
        ("snooze " + "3650d " * 900, "for how long?"),
        ("snooze until 25:00", "25:00 is no time of the day"),
        ("snooze 0m", "has passed already"),
        ("note", "what is there to note?"),
        ("note " + "x" * 4001, "at most 4000 characters"),
        ("reassign", "to whom?"),
        ("reassign grcae", "did you mean 'grace'?"),
        ("ack 3f2d11 4c1d2e", "one incident at a time"),
        ("ack 3f2d1l", "no open incident is called 3f2d1l"),
        ("ack please!", "'please!' is no incident's id"),
        ("ack x' OR '1'='1", "one incident at a time"),
        ("ack x'OR'1", "is no incident's id"),
        ("resolve 3f2d12", "no open incident is called 3f2d12"),
        ("ack 01960c2e-7d3b-7c51-9a55-000000000000", "there is no incident"),
        ("oncall", "can't be looked up from here"),
    ],
)
async def test_what_cannot_be_done_is_said(desk, type_, typed, why):
    """Nothing is raised, and nothing is done to another incident instead."""
    answer = await type_(typed)
    assert why in answer
    assert "othing was done" in answer
    assert desk.incidents[INCIDENT].status == "triggered"
    assert desk.incidents[INCIDENT].custody.snoozed_until is None


async def test_a_refusal_says_about_what(type_):
    """Who was first, on which incident, though none was named."""
    await type_("ack", by=GRACE)
    answer = await type_("ack")
    assert answer.startswith("3f2d11: nothing was done, Grace Hopper has had it since 2026-03-01")


async def test_an_incident_that_is_over_says_who_ended_it(desk, type_):
    """It may have been resolved while somebody looked for their glasses."""
    await type_(f"resolve {INCIDENT}", by=GRACE)
    assert "it was resolved by Grace Hopper" in await type_("ack")


async def test_without_a_page_an_incident_has_to_be_named(desk, type_):
    """Guessing would take somebody else's."""
    assert "which one?" in await type_("ack", newest=None)
    assert desk.deeds == []


async def test_an_incident_is_found_among_however_many(desk, type_):
    """The record gives a page at a time."""
    desk.record.page = 1
    assert "you have it" in await type_("ack 4c1d2e")


async def test_two_incidents_that_end_alike_need_the_whole_id(desk, type_):
    """The answer shows both."""
    twin = "01960c2e-0000-7c51-9a55-0b8f6f3f2d11"
    desk.put(twin)
    answer = await type_("ack 3f2d11")
    assert INCIDENT in answer
    assert twin in answer
    assert desk.deeds == []


async def test_all_that_one_was_paged_for_is_taken_at_once(desk, type_):
    """Open, told to this person, and nobody's yet; what others were paged for stays."""
    own = {each: f"01960c2e-7d3b-7c51-9a55-{each}" for each in ("0000000000a1", "0000000000a2")}
    for each in own.values():
        desk.put(each, deliveries=(paged("ada"),))
    bundled = "01960c2e-7d3b-7c51-9a55-0000000000a3"
    desk.put(bundled, deliveries=(paged("ada", DeliveryStatus.BUNDLED),))
    desk.put("of-grace", deliveries=(paged("grace"),))
    desk.put("unsent", deliveries=(paged("ada", DeliveryStatus.HELD),))
    desk.put("told-only", deliveries=(paged("ada", kind=NotificationKind.RESOLVED),))
    desk.put("taken", deliveries=(paged("ada"),), acknowledged_at=NOW, acknowledged_by="Grace")
    answer = await type_("ACK ALL")
    assert answer == "You have 3: 0000a1, 0000a2, 0000a3."
    assert {each[1] for each in desk.deeds} == {*own.values(), bundled}


async def test_acknowledging_all_says_what_was_refused(desk, type_):
    """Somebody may be first with one of them."""
    desk.put(INCIDENT, deliveries=(paged("ada"),))
    desk.trouble = Unavailable("Temporal gave no answer in time")
    assert await type_("ack all") == "3f2d11: Temporal gave no answer in time."


async def test_acknowledging_all_needs_to_know_who_was_paged(type_):
    """A stranger in Slack was paged for nothing."""
    assert "not among the policy file's people" in await type_("ack all", by=STRANGER)
    assert "Nobody waits for you" in await type_("ack all")


async def test_the_list_shows_what_is_open(desk, type_):
    """The id to type, how bad, what, and who has it."""
    desk.put(OTHER, acknowledged_at=NOW, acknowledged_by="Grace", title="x" * 99)
    assert (await type_("list")).splitlines() == [
        "3f2d11 high channels: RtmpError: connection refused. Nobody has it yet.",
        f"4c1d2e high channels: {'x' * 57}.... Grace has it.",
    ]


async def test_a_long_list_is_cut(desk, type_):
    """It is read on a telephone."""
    for number in range(20):
        desk.put(f"01960c2e-7d3b-7c51-9a55-{number:012}")
    lines = (await type_("list")).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and more"


async def test_an_empty_list_says_so(desk, type_):
    """An empty answer would look like a fault."""
    desk.incidents.clear()
    assert await type_("list") == "No incident is open."


async def test_with_postgresql_away_the_whole_id_works(desk, type_):
    """What does not work says what does."""
    desk.record.away = True
    for typed in ("list", "ack all", "ack 4c1d2e"):
        assert "the whole id still works" in await type_(typed)
    assert "you have it" in await type_(f"ack {OTHER}")
    assert "you have it" in await type_("ack")


async def test_who_is_on_call_is_looked_up(type_):
    """By whoever knows the schedules."""

    async def on_call():
        return ["primary: Ada Lovelace until 09:00", "secondary: nobody"]

    answer = await type_("on-call", on_call=on_call)
    assert answer == "primary: Ada Lovelace until 09:00\nsecondary: nobody"


@pytest.mark.parametrize("typed", ["help", "?", "commands", "", "  "])
async def test_help_shows_the_words(type_, typed):
    """Twilio takes the word help for itself, so there are others."""
    assert await type_(typed) == HELP


async def test_an_unknown_word_shows_the_words(desk, type_):
    """Nothing is guessed."""
    answer = await type_("akc 3f2d11")
    assert answer == f"'akc' is not a word that is known here.\n{HELP}"
    assert desk.deeds == []
