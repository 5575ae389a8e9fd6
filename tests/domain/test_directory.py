"""Who is behind an address."""

import pytest

from holdfast.domain.channel import ChannelKind
from holdfast.domain.custody import Via
from holdfast.domain.directory import actor, channels_of, display_name, find_person
from holdfast.domain.policy import Policy

POLICY = Policy.model_validate(
    {
        "channels": {
            "chat": {"kind": "slack", "token": "${SLACK}", "to": "#ops"},
            "mail": {"kind": "email", "host": "localhost", "sender": "holdfast@example.org"},
            "other-mail": {"kind": "email", "host": "localhost", "sender": "pages@example.org"},
        },
        "people": {
            "ada": {
                "name": "Ada Lovelace",
                "contacts": [
                    {"channel": "mail", "to": "ada@example.org"},
                    {"channel": "chat", "to": "U7"},
                ],
            },
            "bob": {
                "contacts": [
                    {"channel": "chat"},
                    {"channel": "other-mail", "to": "Bob@example.org"},
                ]
            },
        },
    }
)


@pytest.mark.parametrize(
    ("kind", "address", "found"),
    [
        (ChannelKind.SLACK, "U7", "ada"),
        (ChannelKind.SLACK, "u7", "ada"),
        (ChannelKind.EMAIL, "bob@EXAMPLE.org", "bob"),
        (ChannelKind.SLACK, "U8", None),
        (ChannelKind.SLACK, "ada@example.org", None),
        (ChannelKind.SLACK, "#ops", None),
    ],
)
def test_an_address_leads_to_its_person(kind, address, found):
    """On any channel of the kind, in any case of its letters; else to nobody."""
    assert find_person(POLICY, kind, address) == found


@pytest.mark.parametrize(
    ("key", "shown"), [("ada", "Ada Lovelace"), ("bob", "bob"), ("carol", "carol")]
)
def test_a_person_is_shown_by_name_or_key(key, shown):
    """Also somebody whom the file no longer knows."""
    assert display_name(POLICY.people, key) == shown


def test_a_person_acts_under_their_name_and_key():
    """The name is for people, the key for what is decided by it."""
    ada = actor(POLICY, "ada", via=Via.SLACK)
    assert (ada.name, ada.person, ada.via) == ("Ada Lovelace", "ada", Via.SLACK)


def test_all_channels_of_a_kind_are_found():
    """What comes back may be for any of them."""
    assert sorted(channels_of(POLICY, ChannelKind.EMAIL)) == ["mail", "other-mail"]
