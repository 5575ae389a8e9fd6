"""The ways to reach people: one module a vendor behind one small interface, ``channel.Sender``."""
