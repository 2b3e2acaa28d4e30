"""PostGIS tables, read in one consistent snapshot."""
