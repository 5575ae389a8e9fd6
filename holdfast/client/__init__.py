"""The published client: what a service calls, and what guards its calls to others.

One object, :class:`Holdfast`; the modules behind it are private. A report goes from ``entry.py``
(what is said) through ``outbox.py`` (what waits) to ``courier.py`` (how it is sent) and, while
Holdfast is away, ``spill.py`` (where it is kept). A guarded call goes through ``guard.py`` to its
``breaker.py``, on the ``switchboard.py`` that ``stream.py`` keeps up to date.
"""

from holdfast.client.holdfast import Holdfast
from holdfast.client.retry import Retry, RetryBudget
from holdfast.domain.strategy import Backoff
from holdfast.errors import BreakerOpen

__all__ = ["Backoff", "BreakerOpen", "Holdfast", "Retry", "RetryBudget"]
