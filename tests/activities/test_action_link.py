from datetime import UTC, datetime, timedelta

import pytest
from itsdangerous import URLSafeTimedSerializer

from activities.action_link import ActionLink, ActionLinks, LinkExpired, LinkUnknown

SECRET = "the secret that signs links"
PUBLIC_URL = "https://holdfast.example/"


@pytest.fixture
def links():
    return ActionLinks(SECRET, PUBLIC_URL)


@pytest.fixture
def token(links, make_notification):
    """One that was made now."""
    return links.url(make_notification(to="ada@example.com")).rpartition("/")[2]


def test_a_link_says_who_was_told_of_what(links, make_notification):
    """Its id is the message's, so that it is used up by itself."""
    notification = make_notification(to="ada@example.com").model_copy(update={"person": "ada"})
    url = links.url(notification)
    assert url.startswith("https://holdfast.example/act/")
    assert links.read(url.removeprefix("https://holdfast.example/act/")) == ActionLink(
        incident_id="incident-1",
        notification_id=notification.id,
        person="ada",
        address="ada@example.com",
    )


def test_a_retry_has_the_same_link_in_effect(links, make_notification):
    """Whichever copy of a message is used, the other's link is used up with it."""
    notification = make_notification()
    read = [links.read(links.url(notification).rpartition("/")[2]) for _ in range(2)]
    assert read[0] == read[1]


def test_the_channel_acts_where_no_address_is_known(links, make_notification):
    """The record then says over what it was done."""
    link = links.read(links.url(make_notification(channel="ops")).rpartition("/")[2])
    assert (link.person, link.address) == (None, "ops")


def test_a_long_list_of_addresses_still_names_an_actor(links, make_notification):
    """An incident takes a name of 200 characters."""
    many = ", ".join(f"user-{n}@example.com" for n in range(40))
    link = links.read(links.url(make_notification(to=many)).rpartition("/")[2])
    assert link.address == many[:200]


@pytest.mark.parametrize(
    ("secret", "public_url"), [(None, PUBLIC_URL), (SECRET, None), ("", PUBLIC_URL), (SECRET, "")]
)
def test_without_both_settings_there_is_no_link(make_notification, secret, public_url):
    """It could not be signed, or led nowhere."""
    assert ActionLinks(secret, public_url).url(make_notification()) is None


def test_without_a_secret_no_link_is_known(token):
    """An empty secret would let anybody sign."""
    with pytest.raises(LinkUnknown, match="HOLDFAST_LINK_SECRET"):
        ActionLinks(None, PUBLIC_URL).read(token)


@pytest.mark.parametrize("spoiled", ["", "token", "a.b.c", "{}x", "x{}", "{}/.."])
def test_a_forged_link_is_unknown(links, token, spoiled):
    """Any change spoils it."""
    with pytest.raises(LinkUnknown, match="copy all of it"):
        links.read(spoiled.format(token))


def test_a_link_of_another_secret_is_unknown(token):
    """A secret is changed to make all links void."""
    with pytest.raises(LinkUnknown):
        ActionLinks("another secret", PUBLIC_URL).read(token)


def test_what_was_signed_for_something_else_is_unknown(links):
    """The same secret may sign other things."""
    said = {"incident_id": "1", "notification_id": "2", "address": "ada@example.com"}
    with pytest.raises(LinkUnknown):
        links.read(URLSafeTimedSerializer(SECRET, salt="other").dumps(said))


@pytest.mark.parametrize(("age", "works"), [(6.9, True), (7.1, False)])
def test_a_link_is_good_for_a_week(token, age, works):
    """After that it is gone, and says so."""
    later = ActionLinks(SECRET, PUBLIC_URL, now=lambda: datetime.now(UTC) + timedelta(days=age))
    if works:
        assert later.read(token)
        return
    with pytest.raises(LinkExpired, match="older than 7 days") as caught:
        later.read(token)
    assert caught.value.status == 410


def test_the_secret_is_not_shown(links):
    """Nor in a traceback's variables."""
    assert SECRET not in repr(links)
