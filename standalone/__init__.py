"""The whole of Holdfast on one machine, in one command: ``python -m standalone``.

A supervisor starts the real parts as child processes: PostgreSQL, Temporal with its UI, the API
and the worker. Nothing of them has to be installed by hand; they come with the Python packages.
"""
