"""Owns the board of guidance: what this process knows of every service, ready to be sent."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from config.policy import LoadedPolicy
from holdfast.domain.breaker import CircuitBreaker
from holdfast.domain.degradation import Degradation
from holdfast.domain.guidance import ServiceGuidance
from storage.entities import Guide

# As far as PostgreSQL counts.
_REVISION: Final = re.compile(r"[0-9]{1,19}")


class Notice(NamedTuple):
    """One service's guidance.

    Attributes:
        revision: The change that led to it; 0 if nothing of the service was ever recorded.
        text: The guidance as JSON, encoded once for all who get it.
    """

    guidance: ServiceGuidance
    revision: int
    text: str


class GuidanceBoard:
    """The guidance of all services that the policy file or the record knows.

    Args:
        loaded: Gives the active policy.
    """

    def __init__(self, loaded: Callable[[], LoadedPolicy]) -> None:
        self._loaded = loaded
        self._policy = loaded()
        self._breakers: dict[str, tuple[int, CircuitBreaker]] = {}
        self._degradations: dict[str, tuple[int, Degradation]] = {}
        self._notices: dict[str, Notice] = {}
        self.revision = 0
        self._renew(self._policy.policy.services)

    @property
    def position(self) -> str:
        """Names what the board says now: equal positions, equal boards, in all processes."""
        return f"{self._policy.hash}.{self.revision}"

    def breaker(self, service: str) -> CircuitBreaker | None:
        """A service's breaker as it was last recorded; None if it never was."""
        _, breaker = self._breakers.get(service, (0, None))
        return breaker

    def notices(
        self, services: frozenset[str] | None = None, *, after: int = -1
    ) -> Sequence[Notice]:
        """What is known, by service.

        Args:
            services: Only of these; None for all.
            after: Only what changed since this revision.
        """
        names = self._notices.keys() if services is None else services & self._notices.keys()
        found = (self._notices[each] for each in sorted(names))
        return [each for each in found if each.revision > after]

    def since(self, position: str) -> int | None:
        """The revision from which on somebody at a position needs the changes.

        Returns:
            None if changes alone would not do: they need to be told all.
        """
        revision = self._revision_at(position)
        return revision if revision is not None and revision <= self.revision else None

    def is_behind(self, position: str) -> bool:
        """Whether somebody was told more elsewhere, under the same policy."""
        revision = self._revision_at(position)
        return revision is not None and revision > self.revision

    def _revision_at(self, position: str) -> int | None:
        """A position's revision; None if it is one of another policy, or none at all."""
        policy_hash, _, revision = position.rpartition(".")
        if policy_hash != self._policy.hash or not _REVISION.fullmatch(revision):
            return None
        return int(revision)

    def follow_policy(self) -> Sequence[Notice]:
        """Take the active policy over; gives what changed by it."""
        before, self._policy = self._policy, self._loaded()
        if before.hash == self._policy.hash:
            return []
        return self._renew(self._policy.policy.services.keys() | self._notices.keys())

    def read(self, guides: Sequence[Guide], *, whole: bool) -> Sequence[Notice]:
        """Take over what the record says.

        Args:
            guides: The recorded states, in the order of their changes.
            whole: Whether these are all that the record has, not only later ones.

        Returns:
            What changed by it.
        """
        concerned = {each.subject.service for each in guides}
        if whole:
            concerned |= self._breakers.keys() | self._degradations.keys()
            self._breakers, self._degradations, self.revision = {}, {}, 0
        for revision, subject in guides:
            self.revision = max(self.revision, revision)
            match subject:
                case CircuitBreaker():
                    self._breakers[subject.service] = revision, subject
                case Degradation():
                    self._degradations[subject.service] = revision, subject
        return self._renew(concerned)

    def _renew(self, services: Iterable[str]) -> Sequence[Notice]:
        """Bring notices up to date; gives those that say something else than before."""
        changed = []
        for service in sorted(services):
            before, notice = self._notices.get(service), self._notice(service)
            if self._is_known(service):
                self._notices[service] = notice
            else:
                self._notices.pop(service, None)
            if before is None or before.text != notice.text:
                changed.append(notice)
        return changed

    def _notice(self, service: str) -> Notice:
        breaker_revision, breaker = self._breakers.get(service, (0, None))
        degradation_revision, degradation = self._degradations.get(service, (0, None))
        guidance = ServiceGuidance.of(
            service,
            breaker=breaker,
            degradation=degradation,
            rules=self._policy.policy.breaker_rules(service),
        )
        revision = max(breaker_revision, degradation_revision)
        return Notice(guidance, revision, guidance.model_dump_json())

    def _is_known(self, service: str) -> bool:
        known = (self._policy.policy.services, self._breakers, self._degradations)
        return any(service in each for each in known)
