"""The peer: the least that a program on the bare Temporal SDK does to answer an error durably.

Three processes, as Holdfast has: a small HTTP endpoint that starts a workflow by update-with-start,
a worker, and the server, which both peers share. It keeps the error in the workflow alone: there is
no database, no classification, no record, no verification, no escalation.
"""
