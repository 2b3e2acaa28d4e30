"""What the data is: immutable layer versions, written beside the old one, verified, then read.

Which version is current is not known here: the catalog says so. This room writes, reads,
compares and removes versions, embedded (GeoPackage) or grown (PostGIS), by the same contract.
"""
