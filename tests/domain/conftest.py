"""How hypothesis looks for counterexamples here: thoroughly, and never against the clock."""

from hypothesis import settings

# A deadline would fail a good test on a busy machine.
settings.register_profile("holdfast", deadline=None)
settings.load_profile("holdfast")
