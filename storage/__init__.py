"""PostgreSQL: what was reported, what has happened, and who may ask; queries live with their noun.

Every class here takes an engine, speaks in domain models, and raises ``Unavailable`` when
PostgreSQL cannot be reached.
"""
