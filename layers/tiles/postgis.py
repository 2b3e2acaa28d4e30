"""Tiles of PostGIS layers, made by the database: ST_AsMVT over the version's table."""

from __future__ import annotations

import gzip

from catalog.model import FieldType, LayerSchema
from layers.columns import GEOM, ID, quote
from layers.postgis.reader import PostgisReader
from layers.postgis.tables import srid
from layers.tiles.grid import EXTENT, Grid
from layers.tiles.plan import FID, TilePlan
from layers.tiles.request import MOST_FEATURES, RIM, TileBusyError, asked

_SRID = {"WebMercatorQuad": 3857, "WorldCRS84Quad": 4326}
_DIGITS = f"replace({ID}, '.', '')"
_NUMBER = (  # the same as plan.numeric_id
    f"CASE WHEN {_DIGITS} ~ '^[1-9][0-9]{{0,14}}$' THEN {_DIGITS}::bigint "
    f"ELSE ('x' || left(md5({ID}), 13))::bit(52)::bigint END"
)


def make_tile(
    reader: PostgisReader, plan: TilePlan, grid: Grid, zoom: int, row: int, column: int
) -> bytes | None:
    """Return the gzipped tile, None when it is empty; TileBusyError when it is too much at once."""
    schema = reader.info.schema or LayerSchema(())
    stored, drawn = srid(schema), _SRID[grid.id]
    names = plan.names(zoom + grid.first_zoom)
    kinds = {field.name: field.type for field in schema.fields}
    columns = [f"{ID} AS {quote(FID)}", *(_column(reader.columns[n], n, kinds[n]) for n in names)]
    shape = quote(GEOM) if stored == drawn else f"ST_Transform({quote(GEOM)}, {drawn})"
    sql = f"""
        WITH found AS (SELECT * FROM {reader.table}
          WHERE {quote(GEOM)} && ST_MakeEnvelope(%s, %s, %s, %s, {stored}) LIMIT {MOST_FEATURES + 1}),
        cut AS (SELECT {_NUMBER} AS "#id", {", ".join(columns).replace("%", "%%")},
          ST_AsMVTGeom({shape}, ST_MakeEnvelope(%s, %s, %s, %s, {drawn}), {EXTENT}, {RIM}, true) AS "#geom"
          FROM found)
        SELECT (SELECT count(*) FROM found),
          (SELECT ST_AsMVT(cut, %s, {EXTENT}, '#geom', '#id') FROM cut WHERE "#geom" IS NOT NULL)"""
    bounds = grid.bounds(zoom, row, column)
    count, made = reader.ask(sql, (*asked(grid, bounds, schema), *bounds, plan.layer))[0]
    if count > MOST_FEATURES:
        raise TileBusyError(where=plan.layer)
    return gzip.compress(bytes(made), compresslevel=5, mtime=0) if made else None


def _column(column: str, name: str, kind: FieldType) -> str:
    """Return a column as MVT can hold it and as `features.properties` writes it."""
    shown = quote(column)
    if kind is FieldType.DATE:
        shown = f"to_char({shown}, 'YYYY-MM-DD')"
    elif kind is FieldType.DATETIME:
        shown = f"to_char({shown} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
    return f"{shown} AS {quote(name)}"
