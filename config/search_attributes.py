"""Owns the search attributes that make an incident findable in the Temporal UI.

Workflows import this file; how they are registered is in ``config/temporal.py``, which drags more
in than a workflow's sandbox should load.
"""

from typing import Final

from temporalio.common import SearchAttributeKey

INCIDENT: Final = SearchAttributeKey.for_keyword("HoldfastIncident")
SERVICE: Final = SearchAttributeKey.for_keyword("HoldfastService")
CATEGORY: Final = SearchAttributeKey.for_keyword("HoldfastCategory")
SEVERITY: Final = SearchAttributeKey.for_keyword("HoldfastSeverity")
STATUS: Final = SearchAttributeKey.for_keyword("HoldfastStatus")

ALL: Final = (INCIDENT, SERVICE, CATEGORY, SEVERITY, STATUS)
