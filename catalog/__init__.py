"""What is known of the data: records, sources, runs, versions, region codes, audit.

This room is the ground floor. It imports nothing of ours, so errors, messages, settings and the
clock, which every other room needs, live here too.
"""
