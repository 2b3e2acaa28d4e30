"""WMS and WMTS, registered by reference."""
