"""Measures what Holdfast costs, side by side with the bare Temporal SDK on the very same server."""
