"""BMKG: earthquake feeds and CAP weather warnings."""
