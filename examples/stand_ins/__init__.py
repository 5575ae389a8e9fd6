"""Stand-ins for the vendors that Holdfast speaks to: their wire formats on loopback.

Each checks what its vendor checks, refuses what it would refuse, and keeps the refusals; each can
be told to fail. They serve the demo and the end-to-end tests.
"""
