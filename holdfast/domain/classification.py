"""Owns classification: which category and severity a report has, and which rule decided."""

from collections.abc import Mapping, Sequence

from holdfast.domain.built_in_rules import BUILT_IN_RULES
from holdfast.domain.model import Model
from holdfast.domain.report import Category, Report
from holdfast.domain.rule import Rule
from holdfast.domain.severity import Severity

# The built-in categories and how bad each is until a rule, a reporter or the policy file says more.
SEVERITIES: dict[str, Severity] = {
    "stream_failure": Severity.HIGH,
    "rtmp_connection": Severity.HIGH,
    "network": Severity.MEDIUM,
    "timeout": Severity.MEDIUM,
    "database": Severity.HIGH,
    "storage": Severity.HIGH,
    "external_service": Severity.MEDIUM,
    "api": Severity.MEDIUM,
    "authentication": Severity.MEDIUM,
    "authorization": Severity.LOW,
    "validation": Severity.LOW,
    "configuration": Severity.HIGH,
    "resource_exhaustion": Severity.CRITICAL,
    "dependency": Severity.MEDIUM,
    "unknown": Severity.MEDIUM,
}


class Classification(Model):
    """The decision about a report, with the reason that says which rule made it."""

    category: Category
    severity: Severity
    reason: str


def classify(
    report: Report, *, rules: Sequence[Rule], severities: Mapping[str, Severity]
) -> Classification:
    """Decide a report's category and severity.

    The policy file's rules come first, then what the reporter said itself, then the built-in
    rules; what fits none of them is ``unknown``. The severity is the rule's, else the reporter's,
    else the category's.

    Args:
        report: What was reported.
        rules: The policy file's rules, the first that fits wins.
        severities: The severity of each category, from the policy file.
    """
    category, severity, reason = _decide(report, rules)
    fallback = severities.get(category) or SEVERITIES.get(category, Severity.MEDIUM)
    return Classification(
        category=category, severity=severity or report.severity or fallback, reason=reason
    )


def _decide(report: Report, rules: Sequence[Rule]) -> tuple[str, Severity | None, str]:
    for rule in rules:
        if rule.match.fits(report):
            return rule.category, rule.severity, f"rule '{rule.name}' of the policy file"
    if report.category:
        return report.category, None, "the reporter said so"
    for rule in BUILT_IN_RULES:
        if rule.match.fits(report):
            return rule.category, rule.severity, f"built-in rule '{rule.name}'"
    return "unknown", None, "no rule fits"
