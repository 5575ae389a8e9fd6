"""How bad an error is."""

import itertools

from holdfast.domain.severity import Severity


def test_severities_are_ordered_from_low_to_critical():
    """Each is at least as bad as itself and as those before it, and as no other."""
    words = ["low", "medium", "high", "critical"]
    for (one, left), (two, right) in itertools.product(enumerate(words), repeat=2):
        assert Severity(left).at_least(Severity(right)) is (one >= two)
