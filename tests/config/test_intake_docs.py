"""docs/intake.md says what Alertmanager and Sentry understand, and leads somewhere."""

import re
from pathlib import Path

import yaml

from api.routes import alertmanager, sentry
from config.policy import missing_secrets, parse

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "intake.md").read_text()
[SNIPPET] = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_alertmanagers_settings_hold_together():
    """Every route leads to a receiver, and Holdfast's is told of what is resolved, with a key."""
    settings = yaml.safe_load(SNIPPET)
    route = settings["route"]
    receivers = {each["name"]: each for each in settings["receivers"]}
    assert {route["receiver"], *(each["receiver"] for each in route["routes"])} == set(receivers)
    [webhook] = receivers["holdfast"]["webhook_configs"]
    assert webhook["send_resolved"]
    assert webhook["http_config"]["authorization"].keys() == {"type", "credentials_file"}


def test_the_addresses_are_those_of_the_routes():
    told = set(re.findall(r"https://holdfast\.example\.com(/\S+?)[`\s]", PAGE))
    assert told == {each.path for each in (*alertmanager.router.routes, *sentry.router.routes)}


def test_the_page_leads_to_sections_that_are_there():
    headings = re.findall(r"^#+ (.*)$", (DOCS / "configuration.md").read_text(), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\(configuration\.md#([^)]+)\)", PAGE)) <= anchors


def test_a_secret_of_sentrys_that_is_missing_is_told():
    """At the start and by the status, as all others."""
    policy = parse('intake: {sentry: {secrets: ["${SENTRY_CLIENT_SECRET}"]}}')
    [missing] = missing_secrets(policy, {})
    assert (missing.path, missing.reference) == (
        "intake.sentry.secrets.0",
        "${SENTRY_CLIENT_SECRET}",
    )
