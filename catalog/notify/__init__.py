"""Telling others: CloudEvents, an outbox that forgets nothing, and the channels that carry them."""
