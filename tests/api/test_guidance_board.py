"""What the board says, and which of it somebody who comes again has missed."""

from datetime import timedelta
from pathlib import Path

import pytest

from api.guidance_board import GuidanceBoard
from config.policy import LoadedPolicy, parse
from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.degradation import Degradation, DegradationLevel
from storage.entities import Guide

LEVELS = (DegradationLevel(name="lean", features_off=("previews",)),)


class Desk:
    """A policy to change, and the board over it."""

    def __init__(self, services="channels: {}\n  payments: {}"):
        self.write(services, policy_hash="aaaa")
        self.board = GuidanceBoard(lambda: self.loaded)

    def write(self, services, *, policy_hash):
        text = f"version: 1\nservices:\n  {services}\n"
        policy = parse(text, "holdfast.yaml")
        self.loaded = LoadedPolicy(
            policy=policy, path=Path("holdfast.yaml"), text=text, hash=policy_hash
        )


def a_guide(revision, service="channels", status=BreakerStatus.OPEN) -> Guide:
    return Guide(revision, CircuitBreaker(service=service, status=status, epoch=revision))


def degraded(revision, service="channels") -> Guide:
    return Guide(revision, Degradation(service=service, levels=LEVELS, level=1))


def names(notices):
    return [each.guidance.service for each in notices]


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def board(desk):
    return desk.board


def test_it_knows_the_policys_services_before_anything_is_recorded(board):
    assert names(board.notices()) == ["channels", "payments"]
    assert board.position == "aaaa.0"


def test_breaker_and_features_of_a_service_are_told_together(board):
    board.read([a_guide(1), degraded(2)], whole=True)
    [channels] = board.notices(frozenset({"channels", "nobody"}))
    assert channels.guidance.breaker.status is BreakerStatus.OPEN
    assert channels.guidance.features_off == ("previews",)
    assert channels.revision == 2


def test_only_what_says_something_else_is_a_change(board):
    assert names(board.read([a_guide(1)], whole=True)) == ["channels"]
    same = Guide(2, board.breaker("channels"))
    assert board.read([same], whole=False) == []
    assert board.position == "aaaa.2"


def test_who_comes_again_needs_what_changed_since(board):
    board.read([a_guide(1), a_guide(2, "payments")], whole=True)
    since = board.since("aaaa.1")
    assert names(board.notices(after=since)) == ["payments"]
    assert board.notices(after=board.since(board.position)) == []


@pytest.mark.parametrize(
    "position",
    ["aaaa.3", "bbbb.1", "aaaa.", "aaaa.-1", "1", "", "aaaa.²", f"aaaa.{'9' * 5000}"],
    ids=lambda position: position[:9],
)
def test_who_was_somewhere_unknown_needs_all(board, position):
    board.read([a_guide(2)], whole=True)
    assert board.since(position) is None


def test_it_is_behind_who_was_told_more_under_the_same_policy(board):
    board.read([a_guide(2)], whole=True)
    asked = ["aaaa.3", "aaaa.2", "bbbb.3", "nonsense"]
    assert [board.is_behind(each) for each in asked] == [True, False, False, False]


def test_a_reload_tells_of_the_services_whose_rules_changed(desk):
    desk.board.read([a_guide(4)], whole=True)
    desk.write("channels: {}\n  payments: {breaker: {minimum_calls: 5}}", policy_hash="bbbb")
    [changed] = desk.board.follow_policy()
    assert changed.guidance.rules.minimum_calls == 5
    assert desk.board.position == "bbbb.4"
    assert desk.board.follow_policy() == []


def test_a_service_that_nobody_knows_any_more_is_told_once_as_unknown(desk):
    """Recorded ones stay known: they may be guarded without being in the policy."""
    desk.board.read([a_guide(1, "payments")], whole=True)
    rules = "channels: {breaker: {open_for: {initial: 9s}}}"
    desk.write(f"{rules}\n  payments: {{}}", policy_hash="bbbb")
    desk.board.follow_policy()
    desk.write("other: {}", policy_hash="cccc")
    channels, other = desk.board.follow_policy()
    assert channels.guidance.rules.open_for.initial == timedelta(seconds=5)
    assert names([channels, other]) == ["channels", "other"]
    assert names(desk.board.notices()) == ["other", "payments"]


def test_reading_all_forgets_what_the_record_no_longer_has(board):
    """As after a rebuild, or on another database."""
    board.read([a_guide(5), degraded(6, "payments"), a_guide(7, "ghost")], whole=True)
    changed = board.read([degraded(3, "payments")], whole=True)
    assert names(changed) == ["channels", "ghost"]
    assert names(board.notices()) == ["channels", "payments"]
    assert board.position == "aaaa.3"
