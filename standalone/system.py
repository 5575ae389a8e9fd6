"""Owns the whole standalone system: which parts there are, their order, and their settings.

Usable from a program as well as from the command line::

    async with System(settings) as system:
        ...  # system.api_url, system.admin_key
        await system.kill("worker")
        await system.start_part("worker")
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, assert_never

from pydantic import SecretStr

from config.settings import Settings
from holdfast.errors import Unavailable
from standalone import environment, health
from standalone.child import Child, Program, ready_at_once
from standalone.home import Home
from standalone.ports import Port, free_ports, require_free
from standalone.postgres import Postgres
from standalone.temporal import Temporal

Part = Literal["postgres", "temporal", "api", "worker"]

CHECKOUT = Path(__file__).resolve().parent.parent
STOPPING_ORDER: tuple[Part, ...] = ("api", "worker", "temporal", "postgres")
HEALTHY_WITHIN = timedelta(seconds=60)
CRASHES_AT_START = 3
WATCH_EVERY = timedelta(milliseconds=500)
SERVICE_GRACE = timedelta(seconds=3)


def _say_nothing(_: str) -> None:
    pass


class System:
    """PostgreSQL, Temporal, the API and the worker, run as children of this process.

    Args:
        settings: Where to keep data and which ports to use.
        environment: Set for every child, over this process's environment.
        say: Takes the lines meant for a person: crashes, restarts, alarms.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        environment: Mapping[str, str] | None = None,
        say: Callable[[str], None] = _say_nothing,
    ) -> None:
        self.settings = settings
        self.home = Home(settings.home)
        self.admin_key = ""
        self.admin_key_is_new = False
        self._link_secret = ""
        self._extra = dict(environment or {})
        self._say = say
        self._postgres = Postgres(self.home.postgres)
        self._temporal = Temporal(
            self.home.temporal, settings.temporal_port, settings.temporal_ui_port
        )
        self._children: dict[Part, Child] = {}
        self._watcher: asyncio.Task[None] | None = None

    @classmethod
    def on_free_ports(
        cls,
        home: Path,
        *,
        environment: Mapping[str, str] | None = None,
        say: Callable[[str], None] = _say_nothing,
    ) -> Self:
        """A system that gets in nobody's way, for tests and demonstrations."""
        api, temporal, ui = free_ports(3)
        settings = Settings(home=home, port=api, temporal_port=temporal, temporal_ui_port=ui)
        return cls(settings, environment=environment, say=say)

    async def __aenter__(self) -> Self:
        """Start everything."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything."""
        await self.stop()

    @property
    def api_url(self) -> str:
        """The API, as this machine reaches it."""
        host, port = self.settings.host, self.settings.port
        if host in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
            host = "127.0.0.1"
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def database_url(self) -> str:
        """The embedded PostgreSQL."""
        return self._postgres.url

    @property
    def temporal_address(self) -> str:
        """The embedded Temporal."""
        return self._temporal.address

    @property
    def temporal_ui_url(self) -> str:
        """The embedded Temporal's pages."""
        return self._temporal.ui_url

    @property
    def environment(self) -> dict[str, str]:
        """What the API and the worker get, for running another command beside them."""
        return environment.for_services(
            self._complete_settings(), temporal_address=self.temporal_address, extra=self._extra
        )

    async def start(self) -> None:
        """Start every part in order and wait until the API says that all is well.

        Raises:
            ConfigurationError: A port or the data folder is taken; nothing was started.
            Unavailable: A part did not come up; everything is stopped again.
        """
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.stop)
            await self.start_stores()
            await self.migrate()
            await self.start_part("worker")
            await self.start_part("api")
            await health.wait_until_healthy(
                self.api_url, within=HEALTHY_WITHIN, meanwhile=self._require_no_crash_loop
            )
            undo.pop_all()

    async def start_stores(self) -> None:
        """Start PostgreSQL and Temporal alone; ``stop`` ends them."""
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self.stop)
            self.home.acquire()
            await require_free(self._ports())
            self._read_secrets()
            self._watcher = asyncio.create_task(self._show_alarms(), name="show alarms")
            await self._postgres.prepare()
            await self.start_part("postgres")
            await self.start_part("temporal")
            undo.pop_all()

    async def stop(self) -> None:
        """Stop every part, in the order in which they lean on each other."""
        for part in STOPPING_ORDER:
            if part in self._children:
                await self._children[part].stop()
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        self._children.clear()
        self._postgres.remove_sockets()
        self.home.release()

    def hurry(self) -> None:
        """Make the ``stop`` that is under way end at once."""
        for child in self._children.values():
            child.hurry()

    async def start_part(self, part: Part) -> None:
        """Start a part that was stopped or killed, and wait until it is ready for use."""
        if part not in self._children:
            log = self.home.log(part)
            self._children[part] = Child(self._program(part), log=log, say=self._say)
        await self._children[part].start()

    async def stop_part(self, part: Part) -> None:
        """Stop a part cleanly and leave it stopped."""
        await self._children[part].stop()

    async def kill(self, part: Part) -> None:
        """Kill a part without warning and leave it dead."""
        await self._children[part].kill()

    async def crash(self, part: Part) -> None:
        """Kill a part without warning; as after any crash, it is started again."""
        await self._children[part].crash()

    def pid(self, part: Part) -> int | None:
        """The process id of a part while it runs."""
        return self._children[part].pid if part in self._children else None

    async def migrate(self) -> None:
        """Bring the database's tables up to date.

        Raises:
            Unavailable: The migration failed; the message ends with what it printed.
        """
        log = self.home.log("migrate")
        process = await self._python("storage.migrate").spawn(log)
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:  # a Ctrl-C came in between
                process.kill()
        if code != 0:
            raise Unavailable(f"the database could not be migrated; {log.path}:\n{log.tail()}")

    async def wait_until_healthy(self, within: timedelta = HEALTHY_WITHIN) -> None:
        """Return as soon as the API's health check passes.

        Raises:
            Unavailable: It did not in time.
        """
        await health.wait_until_healthy(self.api_url, within=within)

    def _require_no_crash_loop(self) -> None:
        for child in self._children.values():
            if child.crashes >= CRASHES_AT_START:
                raise Unavailable(child.describe("keeps crashing"))

    def _program(self, part: Part) -> Program:
        match part:
            case "postgres":
                return self._postgres.program(environment.for_stores())
            case "temporal":
                return self._temporal.program(environment.for_stores())
            case "api":
                return self._python(part, ready=partial(health.answers, self.api_url))
            case "worker":
                return self._python(part)
            case _:
                assert_never(part)

    def _python(
        self, module: str, *, ready: Callable[[], Awaitable[bool]] = ready_at_once
    ) -> Program:
        return Program(
            name=module,
            command=(sys.executable, "-m", module),
            environment=self.environment,
            ready=ready,
            grace=SERVICE_GRACE,
            shows_alarms=True,
            directory=CHECKOUT,
        )

    def _ports(self) -> list[Port]:
        host, temporal = self.settings.host, self._temporal
        return [
            Port("API", host, self.settings.port, "HOLDFAST_PORT"),
            Port("Temporal server", "127.0.0.1", temporal.port, "HOLDFAST_TEMPORAL_PORT"),
            Port("Temporal UI", "127.0.0.1", temporal.ui_port, "HOLDFAST_TEMPORAL_UI_PORT"),
        ]

    def _read_secrets(self) -> None:
        if self.settings.admin_key is not None:
            self.admin_key = self.settings.admin_key.get_secret_value()
        else:
            self.admin_key, self.admin_key_is_new = self.home.ensure_admin_key()
        if self.settings.link_secret is not None:
            self._link_secret = self.settings.link_secret.get_secret_value()
        else:
            self._link_secret = self.home.ensure_link_secret()

    def _complete_settings(self) -> Settings:
        settings = self.settings
        return settings.model_copy(
            update={
                "home": self.home.path,
                "config": settings.config.absolute(),
                "database_url": SecretStr(self.database_url),
                "admin_key": SecretStr(self.admin_key),
                "link_secret": SecretStr(self._link_secret),
                "public_url": settings.public_url or self.api_url,
                "temporal_ui_url": settings.temporal_ui_url or self.temporal_ui_url,
            }
        )

    async def _show_alarms(self) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY.total_seconds())
            for child in self._children.values():
                alarms = child.log.alarms()
                if child.program.shows_alarms:
                    for alarm in alarms:
                        self._say(f"{child.program.name}: {alarm}")
