"""Out: the ASGI app around pygeoapi's API object, that agencies, QGIS and web maps use."""
