"""ArcGIS REST: MapServer and FeatureServer layers and tables."""
