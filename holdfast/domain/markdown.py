"""Owns how an incident reads in the Temporal UI, in Markdown."""

from datetime import datetime

from holdfast.domain.breaker import BreakerStatus, CircuitBreaker
from holdfast.domain.degradation import Degradation
from holdfast.domain.incident import Incident
from holdfast.domain.recovery import RecoveryState


def _clock(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def incident_markdown(incident: Incident) -> str:
    """An incident for somebody who sees nothing but the Temporal UI."""
    escalation = incident.escalation
    lines = [
        f"### {incident.status.value.upper()} · {incident.service} · {incident.severity.value}",
        f"`{_one_line(incident.title)}`",
        "",
        f"- **Incident** {incident.id}",
        f"- **Category** {incident.category} ({incident.reason})",
        f"- **Reports** {incident.report_count}, the last at {_clock(incident.last_report_at)}",
        f"- **Escalation** {escalation.policy or 'none'} ({escalation.reason})",
    ]
    if not incident.known_service:
        lines.append("- **Service** not in the policy file; the default policy applies")
    if escalation.level:
        lines.append(f"- **Paged** level {escalation.level}, round {escalation.round}")
    if escalation.next_level_at:
        lines.append(f"- **Next level** at {_clock(escalation.next_level_at)}")
    if incident.acknowledged_at:
        since = _clock(incident.acknowledged_at)
        lines.append(f"- **Acknowledged** by {incident.acknowledged_by} at {since}")
    if incident.resolved_at and incident.resolution:
        how = f"{incident.resolution.value}, by {incident.resolved_by}"
        lines.append(f"- **Resolved** at {_clock(incident.resolved_at)} ({how})")
    lines += ["", "#### Recovery", *[f"1. {attempt}" for attempt in incident.attempts]]
    lines += ["", "#### Notifications"]
    lines += [
        f"1. {each.kind.value} to {each.target}: {each.status.value}"
        + (f" ({each.reason})" if each.reason else "")
        for each in incident.deliveries
    ]
    return "\n".join(lines)


def recovery_markdown(state: RecoveryState) -> str:
    """A service's recovery queue."""
    running = state.running.request.action_name if state.running else "nothing"
    lines = [f"### Recovery of {state.service}", f"- **Running** {running}"]
    lines.append(f"- **Waiting** {len(state.queue)}")
    if state.fallback_since:
        lines.append(f"- **On its fallback** since {_clock(state.fallback_since)}")
    lines += ["", "#### Lately"]
    lines += [
        f"1. {each.action_name}: {each.status.value}, {each.reason}"
        for each in reversed(state.outcomes[-10:])
    ]
    return "\n".join(lines)


def breaker_markdown(breaker: CircuitBreaker) -> str:
    """A service's circuit breaker."""
    lines = [f"### Circuit breaker of {breaker.service}: {breaker.status.value}"]
    if breaker.reason:
        lines.append(f"- **Why** {_one_line(breaker.reason)}")
    since = f", since {_clock(breaker.since)}" if breaker.since else ""
    lines.append(f"- **Epoch** {breaker.epoch}{since}")
    if breaker.mode:
        until = f"until {_clock(breaker.mode.until)}" if breaker.mode.until else "until taken back"
        lines.append(f"- **Held** by {_one_line(breaker.mode.by)}, {until}")
    if breaker.trips:
        lines.append(f"- **Openings** {breaker.trips} in a row")
    if breaker.probes_at:
        lines.append(f"- **Probe calls** from {_clock(breaker.probes_at)} on")
    if breaker.status is BreakerStatus.HALF_OPEN:
        passed, wanted = breaker.probes_passed, breaker.rules.leases
        lines.append(f"- **Probe calls** {passed} of {wanted} passed")
        lines += [
            f"- leased by {_one_line(lease.reporter)} until {_clock(lease.expires_at)}"
            for lease in breaker.leases
        ]
    if breaker.ramp_ends_at:
        more = _clock(breaker.ramp_ends_at)
        lines.append(f"- **Traffic** {breaker.share:.0%} of calls, more at {more}")
    lines += [f"- held by {hold.incident_id}: {_one_line(hold.reason)}" for hold in breaker.holds]
    return "\n".join(lines)


def degradation_markdown(degradation: Degradation) -> str:
    """A service's degradation."""
    off = ", ".join(degradation.features_off) or "none"
    lines = [f"### Degradation of {degradation.service}: level {degradation.level}"]
    lines.append(f"- **Features off** {off}")
    lines += [f"- held by {hold.incident_id}: {hold.reason}" for hold in degradation.holds]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")
