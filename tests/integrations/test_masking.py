"""No secret leaves a service with a report."""

import pytest

from holdfast.integrations.masking import (
    REMOVED,
    is_secret,
    masked,
    masked_values,
    without_secrets,
)


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Set-Cookie",
        "X-Api-Key",
        "X-Amz-Security-Token",
        "X-CSRF-Token",
        "client_secret",
        "user[password]",
        "accessToken",
        "passphrase",
        "sessionid",
        "code",
        "sig",
    ],
)
def test_what_sounds_like_a_secret_is_one(name):
    assert is_secret(name)


@pytest.mark.parametrize("name", ["author", "Accept-Encoding", "postcode", "page", "User-Agent"])
def test_what_does_not_is_none(name):
    assert not is_secret(name)


def test_a_secret_keeps_its_name():
    """That a token was sent, and under which name, helps; which one does not."""
    assert masked([("token", "t0p"), ("page", "2")]) == {"token": REMOVED, "page": "2"}


def test_a_secret_is_found_however_deep():
    values = {"tries": 3, "asked": [{"headers": {"Authorization": "x", "Accept": "y"}}]}
    assert masked_values(values) == {
        "tries": 3,
        "asked": [{"headers": {"Authorization": REMOVED, "Accept": "y"}}],
    }


def test_what_is_too_deep_to_look_through_is_removed():
    cycle: dict = {}
    cycle["inner"] = cycle
    assert REMOVED in str(masked_values(cycle))


def test_values_of_one_name_are_joined():
    assert masked([("tag", "a"), ("tag", "b")]) == {"tag": "a, b"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/reset?token=abc&page=2", f"/reset?token={REMOVED}&page=2"),
        ("see https://h/x?a=1;api_key=k#f now", f"see https://h/x?a=1;api_key={REMOVED}#f now"),
        ("https://h/#access_token=abc&state=1", f"https://h/#access_token={REMOVED}&state=1"),
        ("postgresql://ada:pw@db/shop", f"postgresql://{REMOVED}@db/shop"),
        ("a = b? c=d", "a = b? c=d"),
        ("Settings(password='a b', tries=3)", f"Settings(password={REMOVED}, tries=3)"),
        ("{'api_key': b'k', 'tries': 3}", f"{{'api_key': {REMOVED}, 'tries': 3}}"),
        ("Authorization: Bearer abc, x", f"Authorization: {REMOVED}, x"),
        ("?access%5Ftoken=abc", f"?access%5Ftoken={REMOVED}"),
        ("it says eyJhbGci.eyJzdWIi.c2ln_-x here", f"it says {REMOVED} here"),
    ],
)
def test_a_text_loses_its_secrets(text, shown):
    assert without_secrets(text) == shown


@pytest.mark.parametrize("text", ["token" * 20_000, "a=" * 50_000, "'" * 100_000, "a: " * 30_000])
def test_a_long_text_is_looked_through_in_no_time(text):
    """In one pass: the test would not end if it went over it for each of its letters."""
    assert len(without_secrets(text)) >= 9
