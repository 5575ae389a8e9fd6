"""Who is on call by a calendar, and what happens when it is slow, broken or away."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from activities.calendar_feed import MOST_BYTES
from activities.calendars import Calendars
from holdfast.domain.schedule import Schedule
from holdfast.errors import ConfigurationError, HoldfastError, Unavailable
from tests.activities.stand_in import answers, drops

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PEOPLE = {
    "channels": {
        "mail": {"kind": "email", "host": "mail.test", "sender": "holdfast@mail.test"},
        "chat": {"kind": "slack", "token": "${SLACK_TOKEN}"},
    },
    "people": {
        "ada": {
            "name": "Ada Lovelace",
            "contacts": [{"channel": "mail", "to": "Ada@example.com"}],
        },
        "grace": {"contacts": [{"channel": "chat", "to": "grace@example.com"}]},
    },
}


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


def feed(*events, lines=()):
    content = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tests//", *lines]
    for number, event in enumerate(events):
        content += [
            "BEGIN:VEVENT",
            f"UID:{number}",
            "DTSTAMP:20260101T000000Z",
            *event,
            "END:VEVENT",
        ]
    return "\r\n".join([*content, "END:VCALENDAR", ""])


def shift(summary, *lines, start="20260302T090000Z", end="20260303T090000Z"):
    return f"SUMMARY:{summary}", f"DTSTART:{start}", f"DTEND:{end}", *lines


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def policy(make_policy):
    return make_policy(**PEOPLE)


@pytest.fixture
def opened(secrets, http, clock):
    @asynccontextmanager
    async def opened(**fields):
        calendars = Calendars(secrets=secrets, http=http, now=clock, **fields)
        yield calendars
        await calendars.close()

    return opened


@pytest.fixture
async def calendars(opened):
    async with opened() as calendars:
        yield calendars


@pytest.fixture
def written(tmp_path):
    """A schedule that follows a file with some content."""

    def write(content, **fields):
        path = tmp_path / "on-call.ics"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Schedule(calendar=f"file:{path}", **fields)

    return write


@pytest.fixture
def ask(calendars, policy):
    async def ask(schedule, *, at=NOW, reach=DAY, calendars=calendars):
        since, until = at - reach, at + reach
        return await calendars.events("primary", schedule, since, until, policy=policy)

    return ask


def followed(service):
    return Schedule(calendar=f"{service.url}/on-call.ics?token=very-secret")


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("ada", "ada"),
        ("ADA", "ada"),
        ("Ada Lovelace", "ada"),
        ("  ada   lovelace ", "ada"),
        ("On call: ada", "ada"),
        ("Team A: primary: Ada Lovelace", "ada"),
        ("grace", "grace"),
        ("Grace Hopper", None),
        ("ada and grace", None),
        ("adamant", None),
        ("", None),
    ],
)
async def test_an_events_title_names_the_person(ask, written, title, expected):
    """By key or name, alone or after a colon; a name within other words is no name."""
    [event] = await ask(written(feed(shift(title))))
    assert event.person == expected
    assert (event.starts_at, event.ends_at) == (
        datetime(2026, 3, 2, 9, tzinfo=UTC),
        datetime(2026, 3, 3, 9, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("title", "attendees", "expected"),
    [
        ("On call", ["ATTENDEE:mailto:ada@example.com"], "ada"),
        ("On call", ["ATTENDEE;CN=Ada:MAILTO:ADA@EXAMPLE.COM"], "ada"),
        ("On call", ["ATTENDEE:mailto:who@example.com", "ATTENDEE:mailto:ada@example.com"], "ada"),
        ("On call", ["ATTENDEE;PARTSTAT=DECLINED:mailto:ada@example.com"], None),
        ("On call", ["ATTENDEE:mailto:grace@example.com"], None),
        ("grace", ["ATTENDEE:mailto:ada@example.com"], "grace"),
    ],
)
async def test_else_who_is_invited_is_the_person(ask, written, title, attendees, expected):
    """By an email contact, and only if they did not decline; the title goes first."""
    [event] = await ask(written(feed(shift(title, *attendees))))
    assert event.person == expected


async def test_a_whole_day_is_one_by_the_schedules_clock(ask, written):
    """In Berlin, the last Sunday of March has 23 hours."""
    day = ("SUMMARY:ada", "DTSTART;VALUE=DATE:20260329", "DTEND;VALUE=DATE:20260330")
    schedule = written(feed(day), time_zone="Europe/Berlin")
    [event] = await ask(schedule, reach=30 * DAY)
    assert event.starts_at == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert event.ends_at == datetime(2026, 3, 29, 22, tzinfo=UTC)


async def test_a_time_without_a_zone_is_the_schedules(ask, written):
    """And one with a zone of its own is in that one."""
    floating = shift("ada", start="20260302T090000", end="20260302T170000")
    zoned = (
        "SUMMARY:grace",
        "DTSTART;TZID=America/New_York:20260302T090000",
        "DTEND;TZID=America/New_York:20260302T170000",
    )
    schedule = written(feed(floating, zoned), time_zone="Asia/Kathmandu")
    ada, grace = await ask(schedule)
    assert ada.starts_at == datetime(2026, 3, 2, 3, 15, tzinfo=UTC)
    assert grace.starts_at == datetime(2026, 3, 2, 14, tzinfo=UTC)


async def test_an_event_recurs_with_its_exceptions(ask, written):
    """Left out on one day, moved to somebody else on another, cancelled on a third."""
    weekly = (*shift("ada"), "RRULE:FREQ=WEEKLY;COUNT=6", "EXDATE:20260309T090000Z")
    content = feed(weekly).removesuffix("END:VCALENDAR\r\n") + "\r\n".join(
        line
        for day, changed in [("16", "SUMMARY:grace"), ("23", "STATUS:CANCELLED")]
        for line in (
            "BEGIN:VEVENT",
            "UID:0",
            f"RECURRENCE-ID:202603{day}T090000Z",
            f"DTSTART:202603{day}T100000Z",
            f"DTEND:202603{day}T110000Z",
            changed,
            "END:VEVENT",
        )
    )
    events = await ask(written(content + "\r\nEND:VCALENDAR\r\n"), reach=50 * DAY)
    assert [(each.person, each.starts_at.day) for each in events] == [
        ("ada", 2),
        ("grace", 16),
        ("ada", 30),
        ("ada", 6),
    ]


async def test_only_what_touches_the_time_is_told(ask, written):
    """And nothing that has no length."""
    schedule = written(
        feed(
            shift("ada", start="20260301T090000Z", end="20260301T120000Z"),
            shift("ada", start="20260302T120000Z", end="20260302T120000Z"),
            shift("grace", start="20260303T120000Z", end="20260304T120000Z"),
        )
    )
    assert await ask(schedule) == ()


async def test_any_time_can_be_asked_for(ask, written):
    """Also one that is further away than pages ever look."""
    weekly = (*shift("ada"), "RRULE:FREQ=WEEKLY")
    [event] = await ask(written(feed(weekly)), at=NOW + 520 * DAY, reach=DAY * 3)
    assert event.starts_at == datetime(2027, 8, 2, 9, tzinfo=UTC)


async def test_an_event_that_makes_no_sense_is_left_out_and_logged(ask, written):
    """It must not take everybody's shifts with it; a clock's every tick is nobody's shift."""
    schedule = written(
        feed(
            shift("ada"),
            shift("broken", start="soon"),
            (*shift("ticking"), "RRULE:FREQ=SECONDLY"),
            (*shift("ruled"), "RRULE:FREQ=NEVER"),
            shift("twice", "DTSTART:20260302T090000Z"),
        )
    )
    with capture_logs() as logs:
        events = await ask(schedule)
    assert [each.person for each in events] == ["ada"]
    [logged] = logs
    assert (logged["schedule"], logged["count"]) == ("primary", 4)
    assert logged["events"][1] == "'ticking': it recurs more often than once an hour"


async def test_a_calendars_unknown_time_zone_stops_nothing(ask, written):
    """Times that need it are then the schedule's."""
    [event] = await ask(written(feed(shift("ada"), lines=["X-WR-TIMEZONE:Nowhere/Else"])))
    assert event.person == "ada"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<html><body>Sign in</body></html>", "not a calendar: .*<html><body>Sign in"),
        ("", "not a calendar"),
        (b"\xff\xfe\x00\x01", "not a calendar"),
        (feed(shift("ada")).removesuffix("END:VCALENDAR\r\n"), "not a calendar"),
        ("BEGIN:VEVENT\r\nUID:1\r\nEND:VEVENT\r\n", "does not begin with BEGIN:VCALENDAR"),
        (feed(shift("ada")).replace("PRODID", "a line of noise\r\nPRODID"), "a line of noise"),
        (b"x" * (MOST_BYTES + 1), "more than 5 MB"),
    ],
)
async def test_what_is_no_calendar_is_named_with_the_reason(ask, written, content, message):
    """Whoever reads that there is nobody on call must know what to put right."""
    schedule = written(content)
    with pytest.raises(ConfigurationError, match=message) as raised:
        await ask(schedule)
    assert str(raised.value).startswith("the schedule 'primary': ")
    assert schedule.calendar in str(raised.value)


@pytest.mark.parametrize(
    "reference", ["file:/nowhere/on-call.ics", "file:/", "${NOT_SET_ANYWHERE}"]
)
async def test_what_is_not_there_is_named(ask, reference):
    with pytest.raises(ConfigurationError, match=r"the schedule 'primary'.*(/|NOT_SET_ANYWHERE)"):
        await ask(Schedule(calendar=reference))


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (answers(503), Unavailable, "answered 503"),
        (answers(429), Unavailable, "answered 429"),
        (answers(404), ConfigurationError, "answered 404"),
        (answers(302, headers={"Location": "/x"}), ConfigurationError, "answered 302 and leads"),
        (answers(200, b"x" * (MOST_BYTES + 1)), ConfigurationError, "more than 5 MB"),
        (drops, Unavailable, "can't be reached"),
    ],
)
async def test_a_feed_that_fails_is_named_without_what_is_secret(
    ask, service, answer, kind, message
):
    """A redirect is not followed: the address would no longer be the one that was given."""
    service.expect("GET /on-call.ics", answer)
    with pytest.raises(kind, match=f"the schedule 'primary'.*{message}") as raised:
        await ask(followed(service))
    assert "very-secret" not in str(raised.value)


async def test_a_secret_address_is_known_by_its_name(ask, service, secrets):
    """Not even a failure shows it."""
    secrets.environment["FEED"] = f"{service.url}/very-secret.ics"
    service.expect("GET /very-secret.ics", answers(500))
    with capture_logs() as logs, pytest.raises(Unavailable, match=r"\$\{FEED\}") as raised:
        await ask(Schedule(calendar="${FEED}"))
    assert "very-secret" not in f"{raised.value} {logs}"


@pytest.mark.parametrize("value", ["ftp://example.com/on-call.ics", "nonsense", "http://"])
async def test_a_secret_address_that_is_none_is_refused(ask, secrets, value):
    secrets.environment["FEED"] = value
    with pytest.raises(HoldfastError, match=r"the schedule 'primary'.*\$\{FEED\}"):
        await ask(Schedule(calendar="${FEED}"))


async def test_a_feed_is_read_at_most_every_five_minutes(ask, service, clock):
    """Pages of a storm ask for the same calendar again and again."""
    schedule = followed(service)
    service.expect("GET /on-call.ics", answers(body=feed(shift("ada"))))
    await ask(schedule)
    clock.now += timedelta(minutes=4, seconds=59)
    assert (await ask(schedule))[0].person == "ada"
    service.expect("GET /on-call.ics", answers(body=feed(shift("grace"))))
    clock.now += timedelta(seconds=1)
    assert (await ask(schedule))[0].person == "grace"


async def test_all_who_ask_at_once_share_one_request(ask, service):
    schedule = followed(service)
    service.expect("GET /on-call.ics", answers(body=feed(shift("ada"))))
    found = await asyncio.gather(*(ask(schedule) for _ in range(5)))
    assert [each[0].person for each in found] == ["ada"] * 5


async def test_while_a_feed_is_down_its_last_copy_serves_for_a_day(ask, service, clock):
    """With a warning that names schedule and reason; then nobody relies on it any more."""
    schedule = followed(service)
    service.expect("GET /on-call.ics", answers(body=feed(shift("ada"))), answers(500))
    await ask(schedule)
    clock.now += DAY
    with capture_logs() as logs:
        assert (await ask(schedule))[0].person == "ada"
    [logged] = logs
    assert logged["log_level"] == "warning"
    assert logged["schedule"] == "primary"
    assert "answered 500" in logged["why"]
    assert logged["using"] == "the copy of 2026-03-02 12:00 UTC"
    service.expect("GET /on-call.ics", answers(500))
    clock.now += timedelta(minutes=1)
    with pytest.raises(Unavailable, match="answered 500"):
        await ask(schedule)


async def test_a_feed_that_failed_is_left_alone_for_a_minute(ask, service, clock):
    """Every page would else wait for it."""
    schedule = followed(service)
    service.expect("GET /on-call.ics", answers(500))
    for _ in range(2):
        with pytest.raises(Unavailable):
            await ask(schedule)
    clock.now += timedelta(minutes=1)
    service.expect("GET /on-call.ics", answers(body=feed(shift("ada"))))
    assert (await ask(schedule))[0].person == "ada"


async def test_a_page_does_not_wait_long_for_a_feed_that_hangs(opened, ask, service):
    """It goes on without; the feed is read meanwhile."""
    service.expect("GET /on-call.ics", service.hangs)
    async with opened(patience=timedelta(milliseconds=500)) as calendars:
        with pytest.raises(Unavailable, match="has not answered yet"):
            await ask(followed(service), calendars=calendars)


async def test_who_gives_up_does_not_stop_the_reading_for_others(opened, ask, service):
    """The activity that asks may be cancelled, and then asks again."""
    go = asyncio.Event()

    async def late(request):
        await go.wait()
        return await answers(body=feed(shift("ada")))(request)

    service.expect("GET /on-call.ics", late)
    async with opened() as calendars:
        first = asyncio.create_task(ask(followed(service), calendars=calendars))
        async with asyncio.timeout(10):
            while not service.requests:
                await asyncio.sleep(0)
        first.cancel()
        go.set()
        [event] = await ask(followed(service), calendars=calendars)
    assert event.person == "ada"


async def test_a_schedule_with_layers_has_no_events(ask):
    layers = [{"people": ["ada"], "starts_on": "2026-01-05"}]
    assert await ask(Schedule.model_validate({"layers": layers})) == ()


async def test_a_check_reads_anew_and_says_what_is_wrong(calendars, ask, written):
    """A fresh copy hides nothing from whoever checks, and serves pages all the same."""
    schedule = written(feed(shift("ada")))
    await calendars.check("primary", schedule)
    written("noise")
    with pytest.raises(ConfigurationError, match=r"the schedule 'primary'.*not a calendar"):
        await calendars.check("primary", schedule)
    assert (await ask(schedule))[0].person == "ada"
