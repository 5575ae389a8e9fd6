"""What is in a spill, and what is put there."""

import json

from holdfast.client.batch import Batch


def a_batch(message="boom", count=1):
    return Batch.of([(json.dumps({"message": message}).encode(), count)])


def kept(spill):
    """What is in it, oldest first; taken off as it is read."""
    batches = []
    while each := spill.oldest():
        record, batch = each
        batches.append(batch)
        spill.strike(record)
    return [batch for batch in batches if batch]


def files(folder):
    return list(folder.glob("*")) if folder.exists() else []
