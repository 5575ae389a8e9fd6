"""Owns a stand-in for what Apprise reaches by ``json://``: it takes Apprise's own JSON."""

from dataclasses import dataclass

from aiohttp import web

from examples.stand_ins.server import StandIn

# github.com/caronc/apprise/wiki/Notify_Custom_JSON
_FIELDS = ("version", "title", "message", "type")


@dataclass(frozen=True)
class Note:
    """What was told."""

    title: str
    message: str
    type: str


class AppriseTarget(StandIn):
    """Takes notes at any path."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[Note] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Take a note."""
        note = await request.json()
        if missing := [name for name in _FIELDS if name not in note]:
            self.refusals.append(f"missing: {missing}")
            return web.Response(status=400)
        self.notes.append(Note(note["title"], note["message"], note["type"]))
        return web.Response()
