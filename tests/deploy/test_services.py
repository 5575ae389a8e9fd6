"""The services of docker-compose.yml, run by their very commands with their very environment.

Only addresses are exchanged: the embedded PostgreSQL and Temporal stand in for their containers.
What the image would not have installed cannot be imported.
"""

import asyncio
import re
import shutil
import sys
from contextlib import AsyncExitStack
from importlib.metadata import packages_distributions
from pathlib import Path
from urllib.parse import quote

import pytest

from standalone.child import Child, Program
from standalone.logs import ChildLog
from standalone.ports import free_ports

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
HEALTHY_WITHIN = 60
JOB_WITHIN = 60
JOB_ATTEMPTS = 10


class Stand:
    """Runs services of the Compose file on this machine.

    Args:
        compose: The file.
        stores: What stands in for its postgres and temporal.
        folder: For logs, and for what keeps packages out.
    """

    def __init__(self, compose, stores, folder):
        self.compose = compose
        self.folder = folder
        (port,) = free_ports(1)
        sockets = quote(stores.database_url.partition("host=")[2])
        self.exchanged = {
            "@postgres:5432/holdfast": f"@/holdfast?host={sockets}",
            "temporal:7233": stores.temporal_address,
            "api:8000": f"127.0.0.1:{port}",
            "127.0.0.1:8000": f"127.0.0.1:{port}",
            "/etc/holdfast/holdfast.yaml": str(ROOT / "holdfast.yaml"),
        }
        # Whole values: a namespace that the embedded server has not made by itself.
        self.replaced = {
            "TEMPORAL_NAMESPACE": "compose",
            "HOLDFAST_HOST": "127.0.0.1",
            "HOLDFAST_PORT": str(port),
        }

    def here(self, text):
        for there, here in self.exchanged.items():
            text = text.replace(there, here)
        return text

    def environment(self, name):
        given = self.compose.services[name]["environment"]
        return {
            **{key: self.replaced.get(key, self.here(value)) for key, value in given.items()},
            "PATH": f"{PROGRAMS}:/usr/bin:/bin",
            "PYTHONPATH": str(self.folder),
        }

    def program(self, name, command):
        command = [self.here(word) for word in command]
        environment = self.environment(name)
        found = shutil.which(command[0], path=environment["PATH"])
        return Program(name, (found, *command[1:]), environment, directory=ROOT)

    def service(self, name):
        service = self.compose.services[name]
        program = self.program(name, [*service.get("entrypoint", []), *service["command"]])
        return Child(program, log=ChildLog(self.folder / f"{name}.log"), say=print)

    async def run_job(self, name):
        """Run a job to its end, again when it fails, as its restart policy says."""
        job = self.service(name)
        async with asyncio.timeout(JOB_WITHIN):
            for _ in range(JOB_ATTEMPTS):
                process = await job.program.spawn(job.log)
                if await process.wait() == 0:
                    return
        pytest.fail(job.describe("failed"))

    async def wait_until_healthy(self, name, child):
        """Ask as the engine does, until the answer is good."""
        kind, *command = self.compose.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        check = self.program(name, command)
        log = ChildLog(self.folder / f"{name}-health.log")
        try:
            async with asyncio.timeout(HEALTHY_WITHIN):
                while await (await check.spawn(log)).wait() != 0:  # a process
                    await asyncio.sleep(0.2)
        except TimeoutError:
            pytest.fail(f"{child.describe('is not healthy')}\n{log.tail()}")


KEEPS_OUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"{{name}} is not in the image", name=name)

sys.meta_path.insert(0, Absent())
"""


def not_in_the_image():
    """The importable names of what is installed here and is not in the image's requirements."""
    locked = (ROOT / "requirements" / "server.txt").read_text()
    kept = {_normal(name) for name in re.findall(r"^([\w.-]+)==", locked, re.MULTILINE)}
    return {
        name
        for name, packages in packages_distributions().items()
        if not any(_normal(package) in kept for package in packages)
    }


def _normal(package):
    return re.sub(r"[-_.]+", "-", package).lower()


@pytest.fixture
def stand(compose, stores, tmp_path) -> Stand:
    keeper = KEEPS_OUT.format(names=not_in_the_image())
    (tmp_path / "sitecustomize.py").write_text(keeper)
    return Stand(compose, stores, tmp_path)


async def test_every_service_of_ours_comes_up_healthy(stand):
    """The jobs end well, also when repeated; the API and the worker pass their health checks."""
    for job in ("temporal-namespace", "migrate", "temporal-namespace", "migrate"):
        await stand.run_job(job)
    services = {name: stand.service(name) for name in ("worker", "api")}
    async with AsyncExitStack() as undo:
        for child in services.values():
            undo.push_async_callback(child.stop)
            await child.start()
        for name, child in services.items():
            await stand.wait_until_healthy(name, child)
        assert all(child.crashes == 0 for child in services.values())
