"""From a source's columns to ours: names, types, points, region codes."""
