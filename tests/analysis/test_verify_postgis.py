"""PostGIS as an independent oracle: the same question in SQL gives the same verdicts and distances."""

from __future__ import annotations

import numpy as np
import psycopg
import pyarrow as pa
import pytest
import shapely

from analysis.lookup import DesaIndex
from analysis.verify_batch import Verifier
from tests.analysis.test_lookup import sample
from tests.servers.postgres import Postgres

QUESTION = """
    SELECT p.n,
        ST_Intersects(c.geom, p.geom),
        (SELECT min(d.kode) FROM desa d WHERE ST_Intersects(d.geom, p.geom)),
        ST_Distance(c.geom::geography, p.geom::geography)
    FROM titik p JOIN desa c ON c.kode = p.kode ORDER BY p.n
"""


def test_postgis_gives_the_same_verdicts(country: DesaIndex, postgres: Postgres) -> None:
    count = 3000
    x, y = sample(country, count, seed=41)
    rng = np.random.default_rng(42)
    beside = country.where(x + 0.0005, y)[0]
    claimed = np.where(
        (beside >= 0) & (rng.random(count) < 0.97), beside, rng.integers(0, len(country), count)
    )
    kode = country.codes.take(pa.array(claimed)).to_pylist()
    url = postgres.database(postgis=True).replace("+psycopg", "")
    with psycopg.connect(url) as db:
        db.execute("CREATE TABLE desa (kode text PRIMARY KEY, geom geometry(MultiPolygon, 4326))")
        db.execute("CREATE TABLE titik (n int PRIMARY KEY, kode text, geom geometry(Point, 4326))")
        shapes = shapely.set_srid(country.polygons.shapes(np.arange(len(country))), 4326)
        wkb = shapely.to_wkb(shapes, hex=True, include_srid=True)
        with db.cursor().copy("COPY desa FROM STDIN") as copy:
            for row in zip(country.codes.to_pylist(), wkb, strict=True):
                copy.write_row(row)
        places = shapely.to_wkb(shapely.set_srid(shapely.points(x, y), 4326), hex=True, include_srid=True)
        with db.cursor().copy("COPY titik FROM STDIN") as copy:
            for number in range(count):
                copy.write_row((number, kode[number], places[number]))
        db.execute("CREATE INDEX ON desa USING gist (geom)")
        db.execute("ANALYZE")
        oracle = db.execute(QUESTION).fetchall()
    got = Verifier(country).verify(pa.record_batch({"lon": x, "lat": y, "kode": kode})).to_pylist()
    for (number, inside, first, metres), row in zip(oracle, got, strict=True):
        assert (row["verdik"] == "sesuai") == inside, number
        assert row["kode_nyata"] == (kode[number] if inside else first), number
        # a few edges are kilometres long: straight in degrees here, geodesic there
        near = row["jarak_m"] < 50_000
        assert row["jarak_m"] == pytest.approx(
            metres, abs=0.2, rel=1e-6 if row["jarak_m"] < 1000 else 1e-3 if near else 5e-3
        ), number
    assert {r["verdik"] for r in got} >= {"sesuai", "dalam_toleransi", "tidak_sesuai", "di_luar_wilayah"}
