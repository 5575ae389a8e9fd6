"""Owns the OpenFeature provider: the features that Holdfast switches off, as OpenFeature's flags.

Needs the extra ``openfeature`` (``pip install holdfast[openfeature]``).
"""

from collections.abc import Callable
from typing import TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata

from holdfast.client import Holdfast
from holdfast.domain.guidance import ServiceGuidance

T = TypeVar("T")


class HoldfastProvider(AbstractProvider):
    """Answers boolean flags with whether Holdfast has the feature on.

    A feature that is off is false, by the reason ``DISABLED``; any other flag has the caller's
    default, as flags of other types always do. A change is told as OpenFeature's event
    ``PROVIDER_CONFIGURATION_CHANGED``, with the flags that changed. The evaluation context is not
    looked at: a feature is off for everybody.

    Args:
        holdfast: Whose features.
        service: The service whose features they are; the client's own without it.
    """

    def __init__(self, holdfast: Holdfast, *, service: str | None = None) -> None:
        super().__init__()
        self._holdfast = holdfast
        self._service = service or holdfast.service
        self._off: frozenset[str] = frozenset()
        self._unsubscribe: Callable[[], None] | None = None

    def get_metadata(self) -> Metadata:
        """Name the provider."""
        return Metadata(name="Holdfast")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Begin to hear of changes."""
        del evaluation_context
        self._unsubscribe = self._holdfast.subscribe(self._heard)

    def shutdown(self) -> None:
        """Hear no more; the client goes on."""
        if self._unsubscribe:
            self._unsubscribe()
            self._unsubscribe = None

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - OpenFeature's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Whether a feature is on."""
        del evaluation_context
        if self._holdfast.feature(flag_key, default=True, service=self._service):
            return _default(default_value)
        return FlagResolutionDetails(value=False, reason=Reason.DISABLED, variant="off")

    def _as_asked(
        self, flag_key: str, default_value: T, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[T]:
        """The default: Holdfast knows on and off alone."""
        del flag_key, evaluation_context
        return _default(default_value)

    resolve_string_details = _as_asked
    resolve_integer_details = _as_asked
    resolve_float_details = _as_asked
    resolve_object_details = _as_asked

    def _heard(self, guidance: ServiceGuidance) -> None:
        if guidance.service != self._service:
            return
        off = frozenset(guidance.features_off)
        changed, self._off = sorted(off ^ self._off), off
        if changed:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=changed))


def _default(value: T) -> FlagResolutionDetails[T]:
    return FlagResolutionDetails(value=value, reason=Reason.DEFAULT)
