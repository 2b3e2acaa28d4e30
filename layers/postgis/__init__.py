"""The grown store: one PostGIS table a version."""
