"""Owns what Sentry's webhooks say, as far as it is read.

They are documented at https://docs.sentry.io/organization/integrations/integration-platform/webhooks/.
"""

from typing import Annotated, Any, Final

from pydantic import AwareDatetime, Field

from holdfast.domain.model import Model

_FRAME: Final = 1000

# Text in most kinds of webhook, and a number in some.
_Id = Annotated[str, Field(coerce_numbers_to_str=True)]


class Actor(Model):
    """Who did it: a user, or Sentry itself."""

    name: str | None = None


class Hook(Model):
    """One webhook; what its data is, is said by the header ``Sentry-Hook-Resource``."""

    action: str
    actor: Actor = Actor()
    data: dict[str, Any] = Field(default_factory=dict)


class _Metadata(Model):
    """What Sentry took from an error to title its issue."""

    type: str | None = None
    value: str | None = None


class _Project(Model):
    """A project, as an issue holds it."""

    id: _Id | None = None
    slug: str


class Issue(Model):
    """What Sentry groups events by."""

    id: _Id
    title: str = ""
    culprit: str | None = None
    level: str | None = None
    metadata: _Metadata = _Metadata()
    project: _Project
    last_seen: AwareDatetime | None = Field(None, alias="lastSeen")
    short_id: str | None = Field(None, alias="shortId")
    web_url: str | None = None


class _Frame(Model):
    """One frame of a stack."""

    module: str | None = None
    function: str | None = None
    filename: str | None = None
    lineno: int | None = None

    def __str__(self) -> str:
        where = f"{self.filename or '?'}:{self.lineno or '?'}"
        called = ".".join(each for each in (self.module, self.function) if each) or "?"
        return f"{called} ({where})"[:_FRAME]


class _Stacktrace(Model):
    """A stack, the innermost frame last."""

    frames: tuple[_Frame, ...] | None = None


class RaisedException(Model):
    """One exception of a chain."""

    type: str | None = None
    value: str | None = None
    stacktrace: _Stacktrace | None = None


class _Chain(Model):
    """The exceptions of an event; the one that was raised last is the last."""

    values: tuple[RaisedException | None, ...] | None = None


class Event(Model):
    """One error, as it came to Sentry."""

    event_id: str
    issue_id: _Id
    project: _Id | None = None
    url: str = ""
    title: str = ""
    culprit: str | None = None
    level: str | None = None
    metadata: _Metadata = _Metadata()
    exception: _Chain | None = None
    tags: tuple[tuple[str | None, str | None], ...] | None = None
    user: dict[str, Any] | None = None
    contexts: dict[str, Any] | None = None
    platform: str | None = None
    release: str | None = None
    environment: str | None = None
    web_url: str | None = None
    datetime: AwareDatetime | None = None

    @property
    def raised(self) -> RaisedException:
        """The exception that ended it; an empty one for a mere message."""
        values = (self.exception.values if self.exception else None) or ()
        return next((each for each in reversed(values) if each), RaisedException())


class _AlertRule(Model):
    """What a metric alert watches."""

    id: _Id
    name: str = ""
    projects: tuple[str, ...] = ()


class _MetricIncident(Model):
    """A metric alert that was triggered."""

    alert_rule: _AlertRule


class MetricAlert(Model):
    """The data of a metric alert's webhook."""

    metric_alert: _MetricIncident
    description_title: str = ""
    description_text: str = ""
    web_url: str | None = None

    @property
    def rule(self) -> _AlertRule:
        """What was watched."""
        return self.metric_alert.alert_rule

    @property
    def key(self) -> str:
        """The fingerprint of its incident."""
        return f"sentry-alert-{self.rule.id}"
