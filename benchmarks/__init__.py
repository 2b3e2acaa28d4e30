"""Speed and memory, measured beside the peers in one run. Never part of the tests."""
