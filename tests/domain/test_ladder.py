"""Which page is due, and what becomes of the ladder with it: each rule by an example."""

from datetime import timedelta

import pytest

from holdfast.domain.custody import Escalating
from holdfast.domain.ladder import Ladder
from holdfast.domain.page import HoldKind, PageCause, PageHold
from holdfast.domain.target import Target
from holdfast.errors import Conflict
from tests.domain.nights import EVENING, MINUTE, chosen, person, policy

ON_CALL = Target(schedule="primary")
SILENCE = PageHold(kind=HoldKind.SILENCE, until=EVENING + 30 * MINUTE, reason="planned")


def starting(*levels, hold=None, **fields) -> Ladder:
    return Ladder.starting(chosen(policy(*levels, **fields)), now=EVENING, hold=hold)


def climbed(ladder: Ladder, *, at=EVENING) -> Ladder:
    """The ladder after the page that is due then went out."""
    return ladder.taken(ladder.due(at), now=at)


def due(ladder: Ladder, at=EVENING):
    page = ladder.due(at)
    return page and (page.cause, page.level, page.round, [str(each) for each in page.targets])


def test_a_punctual_ladder_takes_exactly_its_waits():
    """Asked whenever it wants to be, it pages every level with just its wait between."""
    ladder, taken = starting(repeat=1), []
    while ladder.wakes_at:
        at = ladder.wakes_at
        taken.append((at - EVENING, ladder.due(at).level, ladder.due(at).round))
        ladder = climbed(ladder, at=at)
    assert taken == [
        (0 * MINUTE, 1, 1),
        (5 * MINUTE, 2, 1),
        (10 * MINUTE, 1, 2),
        (15 * MINUTE, 2, 2),
    ]


def test_a_late_ladder_still_gives_each_level_its_full_time():
    """A worker that was down for an hour must not page two levels at once."""
    late = EVENING + 60 * MINUTE
    ladder = climbed(starting(), at=late)
    assert due(ladder, late) is None
    assert ladder.wakes_at == late + 5 * MINUTE


def test_a_held_ladder_pages_nobody_until_its_hold_is_over():
    """Recovery's chance, a silence, somebody's hours: the first page comes after."""
    ladder = starting(hold=SILENCE)
    assert due(ladder) is None
    assert ladder.wakes_at == SILENCE.until
    assert due(ladder, SILENCE.until) == (PageCause.LEVEL, 1, 1, ["ada"])


@pytest.mark.parametrize(
    ("kinds", "stays"),
    [
        ([], False),
        ([HoldKind.SILENCE], False),
        ([HoldKind.RECOVERY], True),
        ([HoldKind.RECOVERY, HoldKind.DEPENDENCY], True),
    ],
)
def test_a_hold_is_released_by_its_kind(kinds, stays):
    """Recovery that gives up does not end a silence; no kind given stands for all."""
    assert (starting(hold=SILENCE).released(*kinds).hold is not None) is stays


def test_a_hold_costs_a_level_nothing_of_its_time():
    """The wait counts from when the level was really told."""
    ladder = climbed(starting(repeat=1)).held(SILENCE)
    at = ladder.wakes_at
    assert at == SILENCE.until
    assert climbed(ladder, at=at).wakes_at == at + 5 * MINUTE


def test_who_led_nowhere_is_followed_by_the_last_level_again():
    """And only then, with its full time between, by the next one."""
    later = EVENING + 60 * MINUTE
    ladder = climbed(starting()).resumed()
    assert due(ladder, later) == (PageCause.RESUMED, 1, 1, ["ada"])
    ladder = climbed(ladder, at=later)
    assert due(ladder, ladder.wakes_at) == (PageCause.LEVEL, 2, 1, ["bob"])
    assert ladder.wakes_at == later + 5 * MINUTE


def test_before_the_first_page_there_is_nothing_to_resume():
    """A snooze in recovery's chance: the first level has its turn, once."""
    assert starting(hold=SILENCE).resumed() == starting(hold=SILENCE)


def test_a_ladder_that_is_done_is_resumed_for_its_last_level_only():
    """Who acknowledged the very last page and did nothing is paged again, and that is all."""
    done = climbed(starting((person("ada"),)))
    assert done.wakes_at is None
    resumed = done.resumed()
    assert due(resumed) == (PageCause.RESUMED, 1, 1, ["ada"])
    assert climbed(resumed).wakes_at is None


def test_whom_it_is_handed_to_is_paged_before_all_else():
    """At once, hold or not; unanswered, the ladder goes on with the level whose turn it is."""
    ladder = climbed(starting(repeat=0)).held(SILENCE).reassigned(person("carol"))
    assert due(ladder) == (PageCause.REASSIGNED, 1, 1, ["carol"])
    ladder = climbed(ladder)
    assert ladder.wakes_at == EVENING + 5 * MINUTE
    assert due(ladder, ladder.wakes_at) == (PageCause.LEVEL, 2, 1, ["bob"])


def test_handed_over_before_the_first_page_the_first_level_still_comes():
    """None is left out."""
    ladder = climbed(starting().reassigned(person("carol")))
    assert due(ladder, ladder.wakes_at) == (PageCause.LEVEL, 1, 1, ["ada"])


def test_without_a_policy_a_hand_over_makes_a_ladder_of_one():
    """Somebody is to be paged, whether a policy fits or not."""
    ladder = Ladder.by_hand(person("carol"), now=EVENING)
    assert due(ladder) == (PageCause.URGED, 1, 1, ["carol"])
    assert climbed(ladder).wakes_at is None


def test_an_urged_ladder_pages_the_next_level_at_once():
    """Hold or not, and in place of what else was to come."""
    ladder = climbed(starting()).resumed().held(SILENCE).expedited(now=EVENING)
    assert due(ladder) == (PageCause.URGED, 2, 1, ["bob"])


def test_a_ladder_that_is_done_cannot_be_urged():
    """The answer says so, rather than promise a page."""
    done = climbed(starting((person("ada"),)))
    with pytest.raises(Conflict, match="the last level of 'default' was paged already"):
        done.expedited(now=EVENING)


def test_a_louder_policy_begins_with_its_first_level():
    """Page numbers go on: they name what receivers must not take for a repeat."""
    louder = chosen(policy((person("boss"),)), name="night", place=1)
    ladder = climbed(starting()).switched(louder, now=EVENING)
    assert due(ladder) == (PageCause.LEVEL, 1, 1, ["boss"])
    assert ladder.due(EVENING).number == 2


@pytest.mark.parametrize(
    ("asked", "cause", "whom"),
    [
        (lambda ladder: ladder.reassigned(person("carol")), PageCause.REASSIGNED, "carol"),
        (lambda ladder: ladder.expedited(now=EVENING), PageCause.URGED, "boss"),
    ],
)
def test_a_louder_policy_does_not_swallow_what_a_person_asked_for(asked, cause, whom):
    """A rule may fit in the very moment; they are paged at once all the same."""
    louder = chosen(policy((person("boss"),)), name="night", place=1)
    ladder = asked(starting()).switched(louder, now=EVENING, hold=SILENCE)
    assert due(ladder) == (cause, 1, 1, [whom])


def test_a_changed_shift_pages_the_last_pages_schedules_again():
    """Whoever is on call now has not been told; people by name have."""
    ladder = climbed(starting((ON_CALL, person("ada")))).relieved()
    assert due(ladder) == (PageCause.SHIFT, 1, 1, ["on call: primary"])


def test_a_changed_shift_does_not_shorten_what_is_paged_again():
    """After an acknowledgement that led nowhere it is still the whole level that is paged."""
    ladder = climbed(starting((ON_CALL, person("ada")))).relieved()
    resumed = climbed(ladder).resumed()
    assert due(resumed) == (PageCause.RESUMED, 1, 1, ["on call: primary", "ada"])


@pytest.mark.parametrize("levels", [[(person("ada"),)], []])
def test_a_changed_shift_concerns_schedules_only(levels):
    """People who were paged by name are on no shift."""
    ladder = climbed(starting(*levels))
    assert ladder.relieved() == ladder


def test_a_changed_shift_takes_no_other_pages_place():
    """The whole level is to be paged again, once its silence is over: that is more."""
    ladder = climbed(starting((ON_CALL, person("ada")))).resumed().held(SILENCE)
    assert ladder.relieved() == ladder


BOTH = (person("ada"), person("bob", mandatory=False))


def test_the_next_level_is_told_whom_the_last_could_not_reach():
    """A mandatory target's failure is the next page's news, and only the next one's."""
    ladder = starting(BOTH, (person("carol"),), repeat=1)
    page = ladder.due(EVENING)
    ladder = climbed(ladder).failed(0, "no answer", page=page, now=EVENING)
    assert ladder.unreached == ("no answer",)
    told = ladder.due(EVENING + 5 * MINUTE)
    assert told.unreached == ("no answer",)
    assert ladder.taken(told, now=EVENING).unreached == ()


def test_an_optional_targets_failure_is_told_to_nobody():
    """That is what optional means."""
    ladder = starting(BOTH)
    page = ladder.due(EVENING)
    assert climbed(ladder).failed(1, "no answer", page=page, now=EVENING).unreached == ()


def test_a_level_of_which_nobody_can_be_reached_waits_for_nobody():
    """While one of them still may be reached it keeps its time."""
    ladder, now = starting(BOTH, (person("carol"),)), EVENING + MINUTE
    page = ladder.due(EVENING)
    one = climbed(ladder).failed(0, "no answer", page=page, now=now)
    assert one.wakes_at == EVENING + 5 * MINUTE
    assert one.failed(1, "gone", page=page, now=now).wakes_at == now


def test_whom_it_is_handed_to_in_vain_holds_up_nobody():
    """Even before the first level: its turn is at once."""
    ladder = starting(hold=SILENCE).reassigned(person("carol"))
    page = ladder.due(EVENING)
    ladder = climbed(ladder).failed(0, "carol is away", page=page, now=EVENING)
    assert due(ladder) == (PageCause.LEVEL, 1, 1, ["ada"])


def test_a_further_round_keeps_its_time():
    """Nobody can be reached: a hundred rounds must not pass in a moment."""
    ladder = starting((person("ada"),), repeat=100)
    page = ladder.due(EVENING)
    ladder = climbed(ladder).failed(0, "no answer", page=page, now=EVENING)
    assert ladder.wakes_at == EVENING + 5 * MINUTE


def test_what_was_told_to_nobody_is_told_again():
    """A page that reached none of its targets has told nobody of those before."""
    levels = [(person(name),) for name in ("ada", "bob", "carol")]
    ladder = starting(*levels)
    for name in ("ada", "bob"):
        page = ladder.due(EVENING)
        ladder = climbed(ladder).failed(0, f"{name} is away", page=page, now=EVENING)
    assert ladder.due(EVENING).unreached == ("ada is away", "bob is away")


def test_rounds_that_fail_alike_are_told_once():
    """What the next page tells stays short, however many rounds reached nobody."""
    ladder, at = starting((person("ada"),), repeat=2), EVENING
    for _ in range(2):
        page = ladder.due(at)
        ladder = climbed(ladder, at=at).failed(0, "ada is away", page=page, now=at)
        at = ladder.wakes_at
    assert ladder.unreached == ("ada is away",)


def test_a_late_failure_of_an_earlier_page_does_not_hurry_the_next_level():
    """It is told, and whoever was paged since keeps their time."""
    ladder = starting(repeat=1)
    first = ladder.due(EVENING)
    ladder = climbed(ladder)
    ladder = climbed(ladder, at=ladder.wakes_at)
    wakes = ladder.wakes_at
    ladder = ladder.failed(0, "ada is away", page=first, now=EVENING + 6 * MINUTE)
    assert (ladder.wakes_at, ladder.unreached) == (wakes, ("ada is away",))


def test_people_see_where_it_stands():
    """The incident shows the level, what comes next and when, and who was not reached."""
    ladder = climbed(starting(repeat=1))
    before = Escalating(reason="once", shift_ends_at=EVENING + timedelta(hours=1))
    assert ladder.seen(before) == Escalating(
        policy="default",
        reason="so",
        level=1,
        round=1,
        next_level_at=EVENING + 5 * MINUTE,
        next_level=2,
        shift_ends_at=before.shift_ends_at,
    )
