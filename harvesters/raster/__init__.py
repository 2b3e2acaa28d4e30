"""Rasters: GeoTIFF files and ArcGIS image services."""
