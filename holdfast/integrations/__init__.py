"""What ties the client to what a service is made of; each module to one thing, and none to another.

``asgi`` (Starlette, FastAPI), ``logs`` (logging), ``unhandled`` (what nobody caught), ``jobs``,
``httpx`` and ``openfeature``. They add no dependency: the last needs ``holdfast[openfeature]``.
"""
