"""Owns what people type to act on incidents: in text messages, and after ``/holdfast`` in Slack."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from activities.channels.sms_text import short_id
from api.incident_book import IncidentBook
from api.incident_desk import IncidentDesk
from api.typed_times import read_time, write_time, zone_of
from holdfast.domain.custody import Actor
from holdfast.domain.directory import display_name
from holdfast.domain.incident import Incident
from holdfast.domain.notification import NotificationKind
from holdfast.domain.policy import Policy
from holdfast.domain.references import did_you_mean
from holdfast.domain.target import Target
from holdfast.errors import HoldfastError, InvalidInput, NotFound

OnCall = Callable[[], Awaitable[Sequence[str]]]
"""Gives a line for each schedule: who is on call there, and until when."""

HELP: Final = """\
ack [id]: you have it; ack all: all that you were paged for
unack [id]: you give it back
resolve [id] [note]: it is over
snooze [id] 30m, or until 07:30: nobody is paged until then
reassign [id] person or schedule
escalate [id]: the next level is paged
note [id] text
list, oncall, help
Without an id it is the one that you were paged for last."""

_SYNONYMS: Final = {
    "acknowledge": "ack",
    "unacknowledge": "unack",
    "on-call": "oncall",
    # Twilio answers the text message HELP in its own words.
    "?": "help",
    "commands": "help",
}

# How the pages show an id, and the whole of it.
_REFERENCE: Final = re.compile(
    r"#?([0-9a-f]{6}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE
)

# A message that people read on a telephone.
_LISTED: Final = 10
_TITLE: Final = 60
_REFUSALS: Final = 3
# What a note may have, see ``workflows.messages``.
_NOTE: Final = 4000
# What a page of the record's list has at the most, and how many updates are on their way at once.
_ALL: Final = 500
_AT_ONCE: Final = 10


async def obey(
    text: str,
    *,
    desk: IncidentDesk,
    book: IncidentBook,
    policy: Policy,
    by: Actor,
    newest: str | None,
    now: datetime,
    on_call: OnCall | None = None,
) -> str:
    """Do what somebody typed, and say what came of it.

    Args:
        text: As it was typed, such as ``ACK 3f2d11``; upper and lower case are the same.
        desk: Passes deeds on.
        book: Finds the incidents.
        policy: Knows the people and schedules.
        by: Who typed it.
        newest: The id of the incident that they were paged for last: meant when none is named.
        now: The present moment.
        on_call: Tells who is on call; None where nobody can.

    Returns:
        A sentence or a short list, refusals too, in plain text: whoever shows it as markup
        escapes it.
    """
    verb, rest = _first_word(text)
    listener = _Listener(
        desk=desk, book=book, policy=policy, by=by, newest=newest, now=now, on_call=on_call
    )
    word = verb.casefold().rstrip(".,!:")
    deed = listener.deeds.get(_SYNONYMS.get(word, word))
    if deed is None:
        return f"'{verb}' is not a word that is known here.\n{HELP}" if verb else HELP
    try:
        return await deed(rest)
    except HoldfastError as error:
        return _sentence(f"Nothing was done: {error}")


@dataclass(frozen=True)
class _Listener:
    """One person, and what their words are about; see ``obey``."""

    desk: IncidentDesk
    book: IncidentBook
    policy: Policy
    by: Actor
    newest: str | None
    now: datetime
    on_call: OnCall | None

    @property
    def deeds(self) -> Mapping[str, Callable[[str], Awaitable[str]]]:
        """What each word does with the words after it."""
        return {
            "ack": self._acknowledge,
            "unack": self._unacknowledge,
            "resolve": self._resolve,
            "snooze": self._snooze,
            "reassign": self._reassign,
            "escalate": self._escalate,
            "note": self._note,
            "list": self._list,
            "oncall": self._on_call,
            "help": self._help,
        }

    async def _acknowledge(self, rest: str) -> str:
        if rest.casefold() == "all":
            return await self._acknowledge_all()
        which = await self._only(rest)
        return await _said(which, self.desk.acknowledge(which, by=self.by), "you have it")

    async def _unacknowledge(self, rest: str) -> str:
        which = await self._only(rest)
        deed = self.desk.unacknowledge(which, by=self.by)
        return await _said(which, deed, "given back, its escalation goes on")

    async def _resolve(self, rest: str) -> str:
        which, note = await self._named(rest)
        deed = self.desk.resolve(which, by=self.by, note=_note(note) if note else None)
        return await _said(which, deed, "resolved")

    async def _snooze(self, rest: str) -> str:
        zone = zone_of(self.policy, self.by.person)
        first, after = _first_word(rest)
        named = _REFERENCE.fullmatch(first)
        until = read_time(after if named else rest, zone=zone, now=self.now)
        if until is None:
            raise InvalidInput("for how long? As in: snooze 30m, or snooze until 07:30")
        which = await self.book.find(first) if named else self._newest()
        deed = self.desk.snooze(which, by=self.by, until=until)
        told = write_time(until, zone=zone, now=self.now)
        return await _said(which, deed, f"snoozed until {told}")

    async def _reassign(self, rest: str) -> str:
        first, after = _first_word(rest)
        if after and _REFERENCE.fullmatch(first):
            which, name = await self.book.find(first), after
        else:
            which, name = self._newest(), rest
        to = self._target(name)
        whom = display_name(self.policy.people, to.person) if to.person else f"{to.schedule}"
        deed = self.desk.reassign(which, by=self.by, to=to)
        return await _said(which, deed, f"handed to {whom}")

    async def _escalate(self, rest: str) -> str:
        which = await self._only(rest)
        deed = self.desk.escalate(which, by=self.by)
        return await _said(which, deed, "the next level is paged")

    async def _note(self, rest: str) -> str:
        which, text = await self._named(rest)
        if not text:
            raise InvalidInput("what is there to note? As in: note the disk was full")
        return await _said(which, self.desk.note(which, by=self.by, text=_note(text)), "noted")

    async def _list(self, _: str) -> str:
        found = await self.book.active(_LISTED + 1)
        lines = [_line(each) for each in found[:_LISTED]]
        if len(found) > _LISTED:
            lines.append("and more")
        return "\n".join(lines) or "No incident is open."

    async def _on_call(self, _: str) -> str:
        if self.on_call is None:
            raise NotFound("who is on call can't be looked up from here")
        return "\n".join(await self.on_call()) or "There is no schedule."

    async def _help(self, _: str) -> str:
        return HELP

    async def _acknowledge_all(self) -> str:
        if self.by.person is None:
            raise NotFound("you are not among the policy file's people, so nobody paged you")
        mine = [each.id for each in await self.book.active(_ALL) if self._waits_for_me(each)]
        if not mine:
            return "Nobody waits for you: all that you were paged for is taken or over."
        turns = asyncio.Semaphore(_AT_ONCE)

        async def take(which: str) -> HoldfastError | None:
            async with turns:
                try:
                    await self.desk.acknowledge(which, by=self.by)
                except HoldfastError as error:
                    return error
                return None

        refusals = dict(zip(mine, await asyncio.gather(*map(take, mine)), strict=True))
        return _told_of_all(refusals)

    def _waits_for_me(self, incident: Incident) -> bool:
        return not incident.is_acknowledged and any(
            each.kind is NotificationKind.PAGE
            and each.person == self.by.person
            and each.status.has_arrived
            for each in incident.deliveries
        )

    async def _only(self, rest: str) -> str:
        """The incident that is named, by a deed that takes no other words."""
        words = rest.split()
        if len(words) > 1:
            raise InvalidInput(f"one incident at a time; '{rest}' is more than that")
        # What is no id is refused: a slip of the thumb must not take the newest instead.
        return await self.book.find(words[0]) if words else self._newest()

    async def _named(self, rest: str) -> tuple[str, str]:
        """The incident that is named first, else the newest, and the other words."""
        first, after = _first_word(rest)
        if not _REFERENCE.fullmatch(first):
            return self._newest(), rest
        try:
            return await self.book.find(first), after
        except NotFound:
            # Some words are written with a to f alone: "note facade is down".
            if not first.isalpha():
                raise
            return self._newest(), rest

    def _newest(self) -> str:
        if self.newest is None:
            raise InvalidInput("which one? Send its id too, as in: ack 3f2d11 (list shows them)")
        return self.newest

    def _target(self, name: str) -> Target:
        wanted = name.removeprefix("@").casefold()
        people = {key: display_name(self.policy.people, key) for key in self.policy.people}
        for key, shown in people.items():
            if wanted in {key.casefold(), shown.casefold()}:
                return Target(person=key)
        for key in self.policy.schedules:
            if wanted == key.casefold():
                return Target(schedule=key)
        if not wanted:
            raise InvalidInput("to whom? As in: reassign grace")
        hint = did_you_mean(name, [*people, *people.values(), *self.policy.schedules])
        raise InvalidInput(f"no person and no schedule is called '{name}'{hint}")


async def _said(which: str, deed: Awaitable[Incident], done: str) -> str:
    """What came of a deed on one incident, which is told even when it was not named."""
    try:
        incident = await deed
    except HoldfastError as error:
        return _sentence(f"{short_id(which)}: nothing was done, {error}")
    return f"{short_id(which)}: {done}. {incident.service}: {_cut(incident.title)}"


def _told_of_all(refusals: Mapping[str, HoldfastError | None]) -> str:
    """What came of acknowledging each."""
    taken = [short_id(which) for which, error in refusals.items() if error is None]
    refused = [
        _sentence(f"{short_id(which)}: {error}") for which, error in refusals.items() if error
    ]
    lines = [f"You have {len(taken)}: {', '.join(taken)}."] if taken else []
    lines += refused[:_REFUSALS]
    if len(refused) > _REFUSALS:
        lines.append(f"{len(refused) - _REFUSALS} more were refused.")
    return "\n".join(lines)


def _line(incident: Incident) -> str:
    severity = incident.severity.value
    title = _cut(incident.title)
    return f"{short_id(incident.id)} {severity} {incident.service}: {title}. {incident.whose}"


def _note(text: str) -> str:
    if len(text) > _NOTE:
        raise InvalidInput(f"a note has at most {_NOTE} characters, this one {len(text)}")
    return text


def _first_word(text: str) -> tuple[str, str]:
    """The first word and the others, whose own spaces and lines stay."""
    first, *others = text.strip().split(maxsplit=1) or [""]
    return first, "".join(others).strip()


def _cut(title: str) -> str:
    return title if len(title) <= _TITLE else f"{title[: _TITLE - 3]}..."


def _sentence(words: str) -> str:
    return words if words.endswith((".", "?", "!", ")")) else f"{words}."
