"""docker-compose.yml, read closely: there is no container engine where the tests run.

``compose-spec.json`` is the schema of the Compose Specification, unchanged, of the Compose
Specification Authors, under the Apache License 2.0 (``compose-spec.LICENSE``).
"""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from config import search_attributes
from config.settings import Settings

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
OURS = ("migrate", "api", "worker")


def test_it_follows_the_specification(compose):
    """What the schema does not know, Compose refuses."""
    Draft7Validator(SCHEMA).validate(compose.written)


def test_every_setting_in_it_exists(compose):
    """A misspelt variable would be ignored without a word."""
    known = {f"HOLDFAST_{name.upper()}" for name in Settings.model_fields}
    used = set(re.findall(r"\bHOLDFAST_[A-Z_]+", compose.text))
    assert used <= known


@pytest.mark.parametrize("name", OURS)
def test_the_settings_are_valid(compose, monkeypatch, name):
    """With the secrets filled in, each of our services reads its settings without complaint."""
    for variable, value in compose.services[name]["environment"].items():
        monkeypatch.setenv(variable, value)
    assert Settings().admin_key is not None
    assert Settings().link_secret is not None


def test_who_is_waited_for_can_say_so(compose):
    """Healthy needs a health check; completed needs something that ends."""
    for service in compose.services.values():
        for name, wait in service.get("depends_on", {}).items():
            match wait["condition"]:
                case "service_healthy":
                    assert "healthcheck" in compose.services[name]
                case "service_completed_successfully":
                    assert name in compose.jobs()
                case condition:
                    pytest.fail(f"{name}: {condition} waits for nothing")


def test_whatever_keeps_running_is_watched_and_started_again(compose):
    for name in compose.services.keys() - compose.jobs():
        assert compose.services[name]["restart"] == "unless-stopped", name
        assert "healthcheck" in compose.services[name], name


def test_no_image_floats(compose):
    """Other people's images are pinned: a restart must not bring another version."""
    for name in compose.services.keys() - set(OURS):
        assert re.search(r":\d+(\.\d+)*$", compose.services[name]["image"]), name


def test_nothing_is_open_to_the_network_unasked(compose):
    for service in compose.services.values():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_no_secret_has_a_default(compose):
    """What is secret must be given, and .env.example leaves it empty."""
    required = compose.variables(":?")
    assert required == {
        "HOLDFAST_ADMIN_KEY",
        "HOLDFAST_LINK_SECRET",
        "POSTGRES_HOLDFAST_PASSWORD",
        "POSTGRES_PASSWORD",
        "POSTGRES_TEMPORAL_PASSWORD",
    }
    assert {name for name, value in example().items() if not value} == required


def test_the_example_names_every_variable(compose):
    """With the default that the Compose file itself has."""
    used = compose.variables(":?") | compose.variables(":-")
    assert example().keys() == used
    for name, default in re.findall(r"\$\{(\w+):-([^}]*)\}", compose.text):
        assert example()[name] == default


def test_what_it_mounts_exists(compose):
    """For a file that is missing, the engine would make an empty folder."""
    for service in compose.services.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).is_file()
            else:
                assert source in compose.content["volumes"]
        for config in service.get("configs", []):
            assert config["source"] in compose.content["configs"]


def test_it_registers_our_search_attributes(compose):
    """An attribute that the server does not know fails a workflow for good."""
    script = compose.services["temporal-namespace"]["command"][0]
    registered = re.findall(r"--name (\w+) --type Keyword", script)
    assert sorted(registered) == sorted(key.name for key in search_attributes.ALL)


def example():
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
