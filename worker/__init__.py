"""The worker: the process that carries workflows and their activities out."""
