"""The ways to carry out a recovery action: over HTTP, by a command, by the user's own workflow."""
