"""Pusat kendali: what operators watch day and night, as a page, a stream of changes and a report."""
