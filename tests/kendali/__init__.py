"""Pusat kendali: its doors, its stream, its report, and its page in a real browser."""
