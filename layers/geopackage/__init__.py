"""The embedded store: one GeoPackage a version, readable in QGIS as it is."""
