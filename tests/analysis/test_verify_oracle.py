"""Two independent oracles: one portable SQL of the same question gives every verdict in DuckDB and in PostGIS."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
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
    WITH di AS (
        SELECT p.n, min(d.kode) AS pertama, bool_or(d.kode = p.kode) AS klaim
        FROM titik p JOIN desa d ON ST_Intersects(d.geom, p.geom)
        GROUP BY p.n
    )
    SELECT
        CASE WHEN di.klaim THEN 'sesuai' WHEN di.pertama IS NOT NULL THEN 'tidak_sesuai'
             ELSE 'di_luar_wilayah' END AS verdik,
        CASE WHEN di.klaim THEN p.kode ELSE di.pertama END AS kode_nyata
    FROM titik p LEFT JOIN di ON di.n = p.n
    ORDER BY p.n
"""
"""Claimed desa or its border, else the first desa there by code, else outside; no tolerance."""

TABLES = """
    CREATE TABLE desa AS SELECT kode, ST_GeomFromWKB(geom) AS geom FROM desa_wkb;
    CREATE TABLE titik AS SELECT n, kode, ST_GeomFromWKB(geom) AS geom FROM titik_wkb;
"""
POINTS = 20_000

type Rows = list[tuple[str, str | None]]


@pytest.fixture(scope="module")
def asked(country: DesaIndex) -> tuple[pa.Table, pa.Table, pa.RecordBatch]:
    """Polygons, points (a quarter on or a hair beside borders) and the same points as a batch."""
    x, y = sample(country, POINTS, seed=41)
    rng = np.random.default_rng(42)
    beside = country.where(x + 0.0005, y)[0]
    claimed = np.where(
        (beside >= 0) & (rng.random(POINTS) < 0.95), beside, rng.integers(0, len(country), POINTS)
    )
    kode = country.codes.take(pa.array(claimed))
    shapes = country.polygons.shapes(np.arange(len(country)))
    desa = pa.table({"kode": country.codes, "geom": pa.array(shapely.to_wkb(shapes), pa.binary())})
    places = pa.array(shapely.to_wkb(shapely.points(x, y)), pa.binary())
    titik = pa.table({"n": np.arange(POINTS), "kode": kode, "geom": places})
    return desa, titik, pa.record_batch({"lon": x, "lat": y, "kode": kode})


def in_duckdb(desa: pa.Table, titik: pa.Table) -> Rows:
    """Ask with the extension of the wheel; nothing is fetched."""
    wheel = Path(str(files("duckdb_extension_spatial")))
    extension = wheel / "extensions" / f"v{duckdb.__version__}" / "spatial.duckdb_extension"
    config: dict[str, Any] = {"autoinstall_known_extensions": "false", "threads": "2"}
    with duckdb.connect(config=config) as db:
        db.execute(f"LOAD '{extension}'")
        db.register("desa_wkb", desa)
        db.register("titik_wkb", titik)
        db.execute(TABLES)
        return db.execute(QUESTION).fetchall()


def in_postgis(desa: pa.Table, titik: pa.Table, url: str) -> Rows:
    with psycopg.connect(url.replace("+psycopg", "")) as db:
        db.execute("CREATE TEMPORARY TABLE desa_wkb (kode text, geom bytea)")
        db.execute("CREATE TEMPORARY TABLE titik_wkb (n int, kode text, geom bytea)")
        for name, table in (("desa_wkb", desa), ("titik_wkb", titik)):
            with db.cursor().copy(f"COPY {name} FROM STDIN") as copy:
                for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
                    copy.write_row(row)
        db.execute(TABLES.encode())
        db.execute("CREATE INDEX ON desa USING gist (geom)")
        db.execute("ANALYZE desa; ANALYZE titik")
        return db.execute(QUESTION).fetchall()


@pytest.fixture
def oracle(request: pytest.FixtureRequest) -> Callable[[pa.Table, pa.Table], Rows]:
    if request.param == "duckdb":
        return lambda desa, titik: in_duckdb(desa, titik)
    postgres: Postgres = request.getfixturevalue("postgres")
    return lambda desa, titik: in_postgis(desa, titik, postgres.database(postgis=True))


@pytest.mark.parametrize("oracle", ["duckdb", "postgis"], indirect=True)
def test_every_verdict_is_the_one_of_the_sql(
    country: DesaIndex,
    asked: tuple[pa.Table, pa.Table, pa.RecordBatch],
    oracle: Callable[[pa.Table, pa.Table], Rows],
) -> None:
    desa, titik, batch = asked
    expected = oracle(desa, titik)
    got = Verifier(country, toleransi_m=0).verify(batch)
    verdik, kode = (got[name].to_pylist() for name in ("verdik", "kode_nyata"))
    wrong = [n for n, pair in enumerate(zip(verdik, kode, strict=True)) if pair != expected[n]]
    assert len(expected) == POINTS
    assert wrong == []
    assert set(verdik) == {"sesuai", "tidak_sesuai", "di_luar_wilayah"}
    assert int((country.where(batch["lon"].to_numpy(), batch["lat"].to_numpy())[1] > 1).sum()) > 100
