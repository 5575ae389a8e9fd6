"""Which silence holds a page, and until when: from memory, with PostgreSQL away too."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.silence_book import SilenceBook
from holdfast.domain.silence import Silence
from holdfast.errors import Unavailable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def a_silence(silence_id="s1", *, starts=-1, ends=1, **fields):
    """A silence by the hours from now at which it starts and ends."""
    values = {
        "id": silence_id,
        "starts_at": NOW + starts * HOUR,
        "ends_at": NOW + ends * HOUR,
        "created_by": "ada",
        "reason": "the disks are being replaced",
        "created_at": NOW,
    }
    return Silence.model_validate(values | fields)


class Kept:
    """Stands for ``storage.silences.Silences``."""

    def __init__(self):
        self.silences = ()
        self.away = False

    async def standing(self, now):
        if self.away:
            raise Unavailable("PostgreSQL cannot be reached")
        return self.silences


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def holding(kept):
    async def holding(*silences, at=NOW, service="channels", **subject):
        kept.silences = silences
        book = SilenceBook(kept)
        await book.refresh()
        named = {"category": "network", "labels": {}} | subject
        held = book.holding(service=service, at=at, **named)
        return held and (held[0].id, (held[1] - NOW) / HOUR)

    return holding


async def test_a_silence_holds_from_its_start_until_before_its_end(holding):
    assert await holding(a_silence()) == ("s1", 1)
    assert await holding(a_silence(), at=NOW - HOUR) == ("s1", 1)
    assert await holding(a_silence(), at=NOW + HOUR) is None
    assert await holding() is None


async def test_only_what_matches_is_held(holding):
    match = {"service": ["chan*", "billing"], "category": ["network"], "labels": {"region": "eu*"}}
    silence = a_silence(match=match)
    assert await holding(silence, labels={"region": "eu-west", "more": "x"})
    assert await holding(silence, labels={"region": "us"}) is None
    assert await holding(silence) is None
    labels = {"region": "eu"}
    assert await holding(silence, service="other", labels=labels) is None
    assert await holding(silence, category="database", labels=labels) is None


async def test_of_several_the_one_that_ends_last_holds(holding):
    assert await holding(a_silence("short"), a_silence("long", ends=3)) == ("long", 3)


async def test_where_others_take_over_the_last_of_them_tells_the_end(holding):
    """The one that holds now is named: when somebody ends it, the page is looked up again."""
    chain = [
        a_silence("now"),
        a_silence("then", starts=0.5, ends=4),
        a_silence("last", starts=4, ends=6),
        a_silence("apart", starts=7, ends=9),
    ]
    assert await holding(*chain) == ("now", 6)
    assert await holding(*reversed(chain)) == ("now", 6)


async def test_what_does_not_match_takes_nothing_over(holding):
    other = a_silence("other", starts=0.5, ends=4, match={"service": ["billing"]})
    assert await holding(a_silence("now"), other) == ("now", 1)


async def test_a_recurring_silence_holds_at_each_of_its_times(holding):
    nightly = a_silence("nightly", recurrence="FREQ=DAILY")
    assert await holding(nightly, at=NOW + 48 * HOUR) == ("nightly", 49)
    assert await holding(nightly, at=NOW + 50 * HOUR) is None


async def test_a_recurring_silence_without_a_gap_is_followed_only_so_far(holding):
    always = a_silence("always", ends=23, recurrence="FREQ=DAILY")
    held, until = await holding(always)
    assert held == "always"
    assert 24 < until < 24 * 100


async def test_with_postgresql_away_it_knows_what_it_knew(kept):
    kept.silences = (a_silence(),)
    book = SilenceBook(kept)
    asked = {"service": "channels", "category": "network", "labels": {}, "at": NOW}
    assert book.holding(**asked) is None
    await book.refresh()
    kept.away = True
    with pytest.raises(Unavailable):
        await book.refresh()
    assert book.holding(**asked) == (a_silence(), NOW + HOUR)
