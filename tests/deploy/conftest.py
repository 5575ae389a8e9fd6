"""The Compose file as Compose itself would read it, and the embedded stores to hold it against."""

import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from standalone.postgres import Postgres
from standalone.system import System
from tests.end_to_end.conftest import temporary_home

ROOT = Path(__file__).parents[2]

# $$, ${NAME}, ${NAME:-default} and ${NAME:?message}
VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?:(?P<how>:[-?])(?P<rest>[^}]*))?\}")

SECRETS = {
    "POSTGRES_PASSWORD": "superuser-of-the-test",
    "POSTGRES_HOLDFAST_PASSWORD": "holdfast-of-the-test",
    "POSTGRES_TEMPORAL_PASSWORD": "temporal-of-the-test",
    "HOLDFAST_ADMIN_KEY": "admin-key-of-the-test",
    "HOLDFAST_LINK_SECRET": "link-secret-of-the-test",
}


class ComposeFile:
    """docker-compose.yml, as written and with its variables filled in."""

    def __init__(self, path: Path, variables: dict[str, str]) -> None:
        self.text = path.read_text()
        self.written = yaml.safe_load(self.text)
        self.content = fill(self.written, variables)
        self.services = self.content["services"]

    def variables(self, how: str) -> set[str]:
        """The names of the variables that are used with ``:?`` or ``:-``."""
        return {match["name"] for match in VARIABLE.finditer(self.text) if match["how"] == how}

    def jobs(self):
        """The services that do one thing and end."""
        return {name for name, it in self.services.items() if it["restart"].startswith("on-fail")}


def fill(value, variables):
    """A YAML value with every variable in its texts replaced."""
    match value:
        case dict():
            return {key: fill(entry, variables) for key, entry in value.items()}
        case list():
            return [fill(entry, variables) for entry in value]
        case str():
            return VARIABLE.sub(lambda match: _value_of(match, variables), value)
        case _:
            return value


def _value_of(match, variables):
    if match[0] == "$$":
        return "$"
    if match["name"] in variables:
        return variables[match["name"]]
    assert match["how"] == ":-", f"{match['name']} has no value"
    return match["rest"]


@pytest.fixture(scope="session")
def compose() -> ComposeFile:
    return ComposeFile(ROOT / "docker-compose.yml", SECRETS)


@pytest.fixture(scope="session")
async def stores(compose) -> AsyncIterator[System]:
    """PostgreSQL with the roles and databases of the Compose file, and Temporal."""
    with temporary_home() as folder:
        system = System.on_free_ports(folder)
        await system.start_stores()
        try:
            roles = compose.content["configs"]["postgres-roles"]["content"]
            run_sql(system, roles)
            yield system
        finally:
            await system.stop()


def run_sql(system, script):
    """What the PostgreSQL image does with a file in /docker-entrypoint-initdb.d."""
    psql = Postgres(system.home.postgres).binaries / "psql"
    subprocess.run(
        [psql, system.database_url, "--set=ON_ERROR_STOP=1", "--no-psqlrc", "--quiet"],
        input=script,
        env=SECRETS,
        text=True,
        check=True,
    )
