import re
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html import unescape
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from activities.action_link import ActionLinks
from api.incident_desk import Source
from api.problems import handle_problems
from api.routes import act
from holdfast.domain.custody import Actor, Remark, Via
from holdfast.domain.incident_status import Resolution
from holdfast.domain.notification import Notification, NotificationKind
from holdfast.domain.policy import Policy
from holdfast.domain.target import Target
from holdfast.errors import NotFound, Unavailable
from tests.storage.samples import an_incident

INCIDENT = "01960c2e-7d3b-7c51-9a55-0b8f6f3f2d11"
PUBLIC_URL = "http://holdfast.test"
ADA = Actor(name="Ada Lovelace", person="ada", via=Via.EMAIL)
GRACE = Actor(name="Grace Hopper")
ACTIONS = ("acknowledge", "snooze", "escalate", "reassign", "resolve", "note")
POLICY = {
    "version": 1,
    "channels": {"mail": {"kind": "email", "host": "localhost", "sender": "holdfast@example.com"}},
    "people": {
        "ada": {
            "name": "Ada Lovelace",
            "contacts": [{"channel": "mail", "to": "ada@example.com"}],
        },
        "linus": {
            "name": "Linus <Live>",
            "contacts": [{"channel": "mail", "to": "linus@example.com"}],
        },
    },
    "schedules": {"leads": {"layers": [{"people": ["ada"], "starts_on": "2026-01-05"}]}},
}


@dataclass
class FakeDesk:
    """Keeps one incident, and refuses as the domain does; ``deeds`` is what went through."""

    incident: object
    source: Source = Source.WORKFLOW
    trouble: Exception | None = None
    deeds: list = field(default_factory=list)
    handed_to: Target | None = None

    async def get(self, incident_id):
        if self.trouble:
            raise self.trouble
        if incident_id != self.incident.id:
            raise NotFound(f"there is no incident {incident_id}")
        return self.incident, self.source

    async def acknowledge(self, incident_id, *, by, link):
        return self._do("acknowledge", by, link, lambda it, at: it.acknowledged(by, at=at))

    async def snooze(self, incident_id, *, by, until, link):
        return self._do("snooze", by, link, lambda it, at: it.snoozed(by, until=until, at=at))

    async def unacknowledge(self, incident_id, *, by, link):
        return self._do("unacknowledge", by, link, lambda it, _: it.unacknowledged())

    async def reassign(self, incident_id, *, by, to, link):
        self.handed_to = to
        return self._do("reassign", by, link, lambda it, _: it.reassigned(str(to)))

    async def note(self, incident_id, *, by, text, link):
        def change(incident, at):
            return incident.remarked(Remark(at=at, by=by.name, text=text))

        return self._do("note", by, link, change)

    async def escalate(self, incident_id, *, by, link):
        return self._do("escalate", by, link, lambda it, _: it)

    async def resolve(self, incident_id, *, by, note, link):
        def change(incident, at):
            return incident.resolved(Resolution.PERSON, by=by.name, at=at, note=note)

        return self._do("resolve", by, link, change)

    def _do(self, verb, by, link, change):
        if self.trouble:
            raise self.trouble
        self.incident = change(self.incident.linked(link), datetime.now(UTC))
        self.deeds.append((verb, by, link))
        return self.incident


@pytest.fixture
def desk():
    opened_at = datetime.now(UTC) - timedelta(minutes=12)
    return FakeDesk(an_incident(INCIDENT, opened_at=opened_at, title="Boom: <b>no disk</b>"))


@pytest.fixture
def links():
    return ActionLinks("the secret that signs links", PUBLIC_URL)


@pytest.fixture
def app(desk, links):
    app = FastAPI()
    app.state.services = SimpleNamespace(
        action_links=links,
        incident_desk=desk,
        holder=SimpleNamespace(policy=Policy.model_validate(POLICY)),
    )
    handle_problems(app)
    app.include_router(act.router)
    return app


@pytest.fixture
async def browser(app):
    """Somebody without a key."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as browser:
        yield browser


@pytest.fixture
def make_url(links, desk):
    def make(*, person="ada", to="ada@example.com", incident_id=INCIDENT):
        notification = Notification(
            id=f"{incident_id}:page:1:1",
            kind=NotificationKind.PAGE,
            target={"channel": "mail", "to": to},
            person=person,
            level=1,
            round=1,
            headline=desk.incident.model_copy(update={"id": incident_id}).headline(),
        )
        return links.url(notification)

    return make


@pytest.fixture
def url(make_url):
    return make_url()


def shown(response):
    """What a person reads."""
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", response.text, flags=re.DOTALL)
    return " ".join(unescape(text).split())


def offered(response):
    """The buttons."""
    return tuple(re.findall(r'name="action" value="(\w+)"', response.text))


async def test_the_page_shows_the_incident_and_what_can_be_done(browser, url):
    """Whoever comes from an email knows without signing in what it is about."""
    response = await browser.get(url)
    assert response.status_code == 200
    read = shown(response)
    for part in ("HIGH · channels", "triggered", "Nobody has it yet.", "12m", "You act as Ada"):
        assert part in read
    assert offered(response) == ACTIONS


async def test_looking_changes_nothing(browser, desk, url):
    """Mail scanners follow every link, some of them often."""
    before = desk.incident
    for _ in range(3):
        await browser.get(url)
    assert desk.deeds == []
    assert desk.incident == before


async def test_no_report_adds_markup_to_the_page(browser, url):
    """Whatever its title holds."""
    response = await browser.get(url)
    assert "<b>" not in response.text
    assert "Boom: <b>no disk</b>" in shown(response)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"action": "acknowledge"}, "You have it now: nobody else is paged."),
        ({"action": "snooze"}, "Nobody is paged until"),
        ({"action": "escalate"}, "The next level is paged now."),
        ({"action": "reassign", "to": "linus"}, "It is handed over: paged now is Linus <Live>."),
        ({"action": "reassign", "to": "on call: leads"}, "paged now is whoever is on call: leads."),
        ({"action": "note", "note": "the cable looks loose"}, "Your note is on the record."),
        ({"action": "resolve"}, "It is over: whoever was told is told so."),
    ],
)
async def test_a_button_does_what_it_says(browser, desk, url, form, said):
    """As the person who was told, over email, by the message's own id."""
    response = await browser.post(url, data=form)
    assert response.status_code == 200
    assert said in shown(response)
    assert offered(response) == ()
    assert desk.deeds == [(form["action"], ADA, f"{INCIDENT}:page:1:1")]


async def test_whoever_has_it_can_give_it_back(browser, desk, url):
    """By a later message's link: it went to them because they have the incident."""
    desk.incident = desk.incident.acknowledged(ADA, at=datetime.now(UTC))
    assert "unacknowledge" in offered(await browser.get(url))
    response = await browser.post(url, data={"action": "unacknowledge"})
    assert "Nobody has it now: its escalation goes on." in shown(response)
    assert not desk.incident.is_acknowledged


async def test_it_can_be_handed_to_whom_the_policy_knows(browser, desk, url):
    """People by their names, and whoever is on call in a schedule."""
    options = re.findall(r'<option value="([^"]+)">([^<]+)<', (await browser.get(url)).text)
    assert [(unescape(value), unescape(name)) for value, name in options] == [
        ("ada", "Ada Lovelace"),
        ("linus", "Linus <Live>"),
        ("on call: leads", "whoever is on call: leads"),
    ]
    await browser.post(url, data={"action": "reassign", "to": "on call: leads"})
    assert desk.handed_to == Target(schedule="leads")


async def test_a_snooze_is_an_hour(browser, desk, url):
    """The button says so."""
    await browser.post(url, data={"action": "snooze"})
    left = desk.incident.custody.snoozed_until - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


async def test_a_note_goes_with_the_end(browser, desk, url):
    """Browsers send two characters for a line break, and count one."""
    note = "the disk was full\r\n" + "x" * 3982
    response = await browser.post(url, data={"action": "resolve", "note": note})
    assert response.status_code == 200
    assert desk.incident.note == note.replace("\r\n", "\n")


async def test_an_address_acts_where_no_person_is_known(browser, desk, make_url):
    """As of a list that several people read."""
    await browser.post(make_url(person=None, to="ops@example.com"), data={"action": "acknowledge"})
    assert desk.deeds[0][1] == Actor(name="ops@example.com", via=Via.EMAIL)


async def test_a_person_who_left_the_policy_acts_by_their_key(browser, desk, make_url):
    """The link was made when they were in it."""
    await browser.post(make_url(person="grace"), data={"action": "acknowledge"})
    assert desk.deeds[0][1] == Actor(name="grace", person="grace", via=Via.EMAIL)


async def test_a_link_works_once(browser, desk, url):
    """The second time the incident refuses, and the page says what to do."""
    await browser.post(url, data={"action": "escalate"})
    response = await browser.post(url, data={"action": "resolve"})
    assert response.status_code == 409
    assert "Nothing was done. This link was used already" in shown(response)
    assert offered(response) == ()
    assert [verb for verb, *_ in desk.deeds] == ["escalate"]


async def test_a_used_link_still_shows_the_incident(browser, url):
    """Without buttons, since none would work."""
    await browser.post(url, data={"action": "escalate"})
    response = await browser.get(url)
    assert response.status_code == 200
    assert "This link was used already" in shown(response)
    assert offered(response) == ()


async def test_who_comes_second_is_told_who_has_it(browser, desk, url):
    """And may still do what else there is: the link was not used up."""
    desk.incident = desk.incident.acknowledged(GRACE, at=datetime.now(UTC))
    response = await browser.post(url, data={"action": "acknowledge"})
    assert response.status_code == 409
    assert "Nothing was done. Grace Hopper has had it since" in shown(response)
    assert offered(response) == ("unacknowledge", *ACTIONS[1:])
    assert desk.deeds == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_of_an_incident_that_is_over_nothing_is_offered(browser, desk, url, method):
    """The page tells who ended it."""
    desk.incident = desk.incident.resolved(Resolution.PERSON, by="grace", at=datetime.now(UTC))
    response = await browser.request(method, url, data={"action": "acknowledge"})
    assert response.status_code == (200 if method == "GET" else 409)
    assert "Resolved by grace" in shown(response)
    assert offered(response) == ()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_with_temporal_away_nothing_is_done(browser, desk, url, method):
    """The person may try again by the same link; what the stores say is not theirs to read."""
    desk.trouble = Unavailable("temporal.internal:7233 gave no answer")
    response = await browser.request(method, url, data={"action": "acknowledge"})
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    read = shown(response)
    assert "nothing was done" in read
    assert "The link stays good." in read
    assert "temporal.internal" not in read
    assert desk.deeds == []


async def test_what_the_record_says_is_told_as_such(browser, desk, url):
    """Somebody may have it meanwhile."""
    desk.source = Source.RECORD
    assert "may be a moment behind" in shown(await browser.get(url))


async def test_an_incident_that_nobody_knows_is_not_found(browser, make_url):
    """The database was restored from before it."""
    response = await browser.get(make_url(incident_id="gone"))
    assert response.status_code == 404
    assert "There is no incident gone" in shown(response)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_forged_link_leads_nowhere(browser, desk, url, method):
    """A person reads why, on a page."""
    response = await browser.request(method, f"{url}x", data={"action": "resolve"})
    assert response.status_code == 404
    assert "This link leads nowhere" in shown(response)
    assert desk.deeds == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_old_link_is_gone(browser, app, desk, url, method):
    """A week after it was sent."""
    later = datetime.now(UTC) + timedelta(days=8)
    app.state.services.action_links = ActionLinks(
        "the secret that signs links", PUBLIC_URL, now=lambda: later
    )
    response = await browser.request(method, url, data={"action": "resolve"})
    assert response.status_code == 410
    assert "older than 7 days" in shown(response)
    assert desk.deeds == []


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"action": "delete"},
        {"action": "resolve", "note": "x" * 4001},
        {"action": "note", "note": " "},
        {"action": "reassign"},
        {"action": "reassign", "to": "mallory"},
    ],
)
async def test_a_form_that_is_not_the_pages_is_refused(browser, desk, url, form):
    """On a page as well; the link stays good."""
    response = await browser.post(url, data=form)
    assert response.status_code == 422
    assert "Nothing was done." in shown(response)
    assert desk.deeds == []


async def test_a_file_in_the_form_is_refused(browser, desk, url):
    """Of the framework's own refusals people read the same page."""
    response = await browser.post(url, files={"action": b"resolve"})
    assert response.status_code == 422
    assert "This could not be done" in shown(response)
    assert desk.deeds == []


async def test_every_page_keeps_the_link_to_itself(browser, desk, url):
    """Its address is a key: neither a cache nor another site learns it, and no script runs."""
    pages = [await browser.get(url), await browser.get(f"{url}x"), await browser.post(url, data={})]
    desk.trouble = Unavailable("away")
    for response in (*pages, await browser.get(url)):
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script" not in policy + response.text


async def test_the_page_may_use_its_own_style_and_no_other(browser, url):
    """A browser compares the style with its digest in the policy, to the letter."""
    response = await browser.get(url)
    (style,) = re.findall(r"<style>(.*?)</style>", response.text, flags=re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in response.headers["Content-Security-Policy"]
    assert "style=" not in response.text
