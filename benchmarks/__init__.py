"""Measures what Holdfast costs, beside its peers: the bare Temporal SDK, other circuit breakers."""
