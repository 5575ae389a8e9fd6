"""All side effects of the workflows: recover, notify, record, and word between workflows."""
