"""The published client: what a service calls to tell Holdfast of its errors.

One public name, :class:`Holdfast`; the modules behind it are private. An entry goes from
``entry.py`` (what is said) through ``outbox.py`` (what waits) to ``courier.py`` (how it is sent).
"""

from holdfast.client.holdfast import Holdfast

__all__ = ["Holdfast"]
