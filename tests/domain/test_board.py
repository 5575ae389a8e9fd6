"""What a message that is edited in place shows, and what it has yet to."""

from holdfast.domain.board import Board
from holdfast.domain.notification import Delivery, NotificationKind, TimelineLine
from tests.domain.nights import ADA, EVENING, batch, opened, person

INCIDENT = opened()
LINES = [TimelineLine(at=EVENING, text=str(number)) for number in range(60)]


def board() -> Board:
    page = Delivery(
        notification_id="n1",
        kind=NotificationKind.PAGE,
        target=person("ada"),
        level=1,
        round=1,
        queued_at=EVENING,
    )
    return Board(page=page, shown=INCIDENT.headline())


def test_a_message_that_shows_what_is_is_left_alone():
    """An edit is a request that a channel limits."""
    assert not board().is_behind(INCIDENT.headline())


def test_more_reports_are_no_reason_to_edit():
    """In a storm the count changes all the time."""
    again = INCIDENT.with_reports(batch("b2", count=900))
    assert not board().is_behind(again.headline())


def test_a_change_or_a_line_is_a_reason_to_edit():
    """Whoever reads the message sees what is."""
    assert board().is_behind(INCIDENT.acknowledged(ADA, at=EVENING).headline())
    assert board().with_line(LINES[0]).is_behind(INCIDENT.headline())


def test_an_update_takes_with_it_what_it_told():
    """What came meanwhile is still to be told, in the next one."""
    taken = INCIDENT.acknowledged(ADA, at=EVENING).headline()
    told = board().with_line(LINES[0]).with_line(LINES[1]).brought_up(taken, 1)
    assert (told.shown, told.lines, told.number) == (taken, (LINES[1],), 1)


def test_a_thread_that_missed_much_is_told_the_end_of_it():
    """An hour of outage must not make a message that no channel takes."""
    behind = board()
    for line in LINES:
        behind = behind.with_line(line)
    assert behind.lines == tuple(LINES[-50:])
