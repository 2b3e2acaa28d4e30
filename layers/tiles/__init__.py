"""Vector tiles of layer versions: grids, archives built by tippecanoe, tiles made on request."""
