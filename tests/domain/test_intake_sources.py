"""What Alertmanager's labels and Sentry's levels and projects mean, and who says so first."""

import pytest

from holdfast.domain.intake_sources import AlertmanagerSource, SentrySource
from holdfast.domain.severity import Severity


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"service": "shop", "job": "node"}, "shop"),
        ({"job": "node"}, "node"),
        ({"service": "", "job": "node"}, "node"),
        ({"job": "checkout-api"}, "shop"),
        ({"instance": "10.0.0.1"}, None),
    ],
)
def test_the_first_label_that_an_alert_has_names_its_service(labels, service):
    """And the policy file says which one is meant, where the label says something else."""
    source = AlertmanagerSource(services={"checkout-api": "shop"})
    assert source.service(labels) == service


def test_an_alert_without_the_labels_is_the_default_services():
    source = AlertmanagerSource(default_service="infrastructure")
    assert source.service({"alertname": "Watchdog"}) == "infrastructure"


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("critical", Severity.CRITICAL),
        ("Page", Severity.CRITICAL),
        ("warning", Severity.MEDIUM),
        ("none", Severity.LOW),
        ("ticket", Severity.HIGH),
        ("info", Severity.MEDIUM),
        ("P1", None),
        (None, None),
    ],
)
def test_a_severity_is_the_policy_files_then_the_built_in_then_left_open(word, severity):
    source = AlertmanagerSource(severities={"ticket": Severity.HIGH, "info": Severity.MEDIUM})
    assert source.severity({"severity": word} if word else {}) == severity


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("fatal", Severity.CRITICAL),
        ("error", None),
        ("warning", Severity.MEDIUM),
        ("debug", Severity.LOW),
        (None, None),
    ],
)
def test_sentrys_error_level_leaves_it_to_the_classification(level, severity):
    """Whatever was raised has it."""
    assert SentrySource().severity(level) == severity
    assert SentrySource(severities={"error": "high"}).severity("error") is Severity.HIGH
