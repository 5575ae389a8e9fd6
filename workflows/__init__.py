"""Durable coordination: what is happening, kept by Temporal. Decisions come from the domain."""
