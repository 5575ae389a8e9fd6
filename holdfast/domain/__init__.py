"""The rules of error recovery: one noun a file, its models and its pure decisions.

Nothing here reads a clock, a random number, the environment or the network: what time it is and
what was drawn come in as arguments, so that the same input decides the same way in a workflow's
replay next year.
"""
