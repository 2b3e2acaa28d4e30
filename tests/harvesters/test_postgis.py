"""PostGIS as a source: one snapshot, key order, types, CRS, and clear errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fiona
import psycopg
import pytest
import shapely

from catalog.errors import AuthSourceError, ConfigError, ForbiddenAddressError
from catalog.model import FieldType, ItemError
from catalog.settings import HarvestSettings
from catalog.sources import SourceConfig
from harvesters.http.client import HttpClient
from harvesters.postgis.harvester import PostgisHarvester
from tests.servers.postgres import Postgres, postgres  # noqa: F401

SETTINGS = HarvestSettings(allow_networks=["127.0.0.0/8"], page_size=50)


_open: list[PostgisHarvester] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _open:
        _open.pop().close()


def harvester(url: str, *layers: dict[str, Any], **more: Any) -> PostgisHarvester:
    source = SourceConfig(
        id="pg", type="postgis", url=url.replace("+psycopg", ""), produsen_data="Dinas",
        layers=list(layers) or [{"remote": "*"}], **more,
    )  # fmt: skip
    _open.append(PostgisHarvester(source, HttpClient(SETTINGS, source)))
    return _open[-1]


@pytest.fixture(scope="module")
def villages(postgres: Postgres, shared_data: Path) -> str:  # noqa: F811
    """All 360 villages of Cianjur in PostGIS."""
    url = postgres.database(postgis=True).replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TABLE desa (gid integer PRIMARY KEY, kode text, nama text, luas numeric(12,3),"
            " diubah timestamptz, aktif boolean, catatan jsonb, geom geometry(MultiPolygonZ, 4326))"
        )
        with (
            fiona.open(shared_data / "cianjur_desa.gpkg", layer="desa") as layer,
            connection.cursor() as cursor,
        ):
            for number, f in enumerate(layer):
                shape = shapely.force_3d(shapely.geometry.shape(f.geometry), 7.0)
                shape = shape if shape.geom_type == "MultiPolygon" else shapely.MultiPolygon([shape])
                cursor.execute(
                    "INSERT INTO desa VALUES (%s, %s, %s, %s, '2025-06-23 07:00+07', true, '{\"a\": 1}',"
                    " ST_GeomFromWKB(%s, 4326))",
                    [
                        1000 - number,
                        f.properties["KDEPUM"],
                        f.properties["NAMOBJ"],
                        1.5,
                        shapely.to_wkb(shape),
                    ],
                )
        connection.execute("CREATE VIEW tanpa_kunci AS SELECT kode, geom FROM desa")
    return url


def content_of(h: PostgisHarvester):
    (dataset,) = h.datasets()
    assert not isinstance(dataset, ItemError), dataset
    return dataset.content


def test_every_village_comes_once_in_key_order_with_its_own_geometry(villages, shared_data) -> None:
    content = content_of(harvester(villages, {"remote": "desa"}))
    schema = content.schema()
    assert (schema.geometry_type, schema.crs, schema.integer_ids) == ("MultiPolygon", "EPSG:4326", True)
    types = {f.name: f.type for f in schema.fields}
    assert types["luas"] is FieldType.REAL
    assert types["diubah"] is FieldType.DATETIME
    assert types["catatan"] is FieldType.TEXT
    listing = content.listing()
    pages = list(content.pages(listing, frozenset()))
    ids = [i for p in pages for i in p.batch.ids]
    assert ids == list(listing.ids)
    assert ids == sorted(ids, key=int)
    assert len(pages) == 8
    assert listing.count == 360
    got = {r["kode"]: g for p in pages for r, g in zip(p.batch.rows, p.batch.geometries, strict=True)}
    with fiona.open(shared_data / "cianjur_desa.gpkg", layer="desa") as layer:
        for f in layer:
            assert shapely.equals(got[f.properties["KDEPUM"]], shapely.geometry.shape(f.geometry))
    assert not shapely.has_z(list(got.values())).any()
    row = pages[0].batch.rows[0]
    assert row["luas"] == 1.5
    assert row["aktif"] is True
    assert row["diubah"].isoformat() == "2025-06-23T00:00:00+00:00"


def test_what_changes_while_we_read_is_not_seen_and_changes_the_stage(villages) -> None:
    content = content_of(harvester(villages, {"remote": "public.desa"}))
    listing = content.listing()
    with psycopg.connect(villages) as other:
        other.execute("DELETE FROM desa WHERE gid = 1000")
        other.execute("UPDATE desa SET nama = 'lain' WHERE gid = 999")
    try:
        rows = {
            i: r
            for p in content.pages(listing, set())
            for i, r in zip(p.batch.ids, p.batch.rows, strict=True)
        }
        assert len(rows) == 360
        assert rows["999"]["nama"] != "lain"
        again = content.listing()
        assert again.count == 359
        assert again.stage != listing.stage
        assert content.listing().stage == again.stage
    finally:
        content.close()
        with psycopg.connect(villages) as other:
            other.execute(
                "INSERT INTO desa SELECT 1000, kode, nama, luas, diubah, aktif, catatan, geom"
                " FROM desa LIMIT 1"
            )


def test_staged_pages_are_not_sent_again_and_single_rows_can_be_asked_for(villages) -> None:
    content = content_of(harvester(villages, {"remote": "desa"}))
    listing = content.listing()
    keys = [p.key for p in content.pages(listing, set())]
    rest = list(content.pages(listing, set(keys[:-1])))
    assert [p.key for p in rest] == keys[-1:]
    (page,) = content.refetch(("700", "701"))
    assert page.batch.ids == ["700", "701"]


def test_a_view_without_key_needs_a_feature_id_and_a_filter_is_kept(villages) -> None:
    (error,) = harvester(villages, {"remote": "tanpa_kunci"}).datasets()
    assert isinstance(error, ItemError)
    assert "primary key" in error.message
    layer = {"remote": "tanpa_kunci", "feature_id": "kode", "where": "kode LIKE '32.03.01.%'"}
    content = content_of(harvester(villages, layer))
    listing = content.listing()
    assert listing.stage == ""
    assert 0 < listing.count < 360
    assert all(i.startswith("32.03.01.") for i in listing.ids)
    content = content_of(harvester(villages, {**layer, "where": "kode LIKE"}))
    with pytest.raises(ConfigError, match="where"):
        content.listing()


def test_star_takes_all_tables_and_a_missing_one_is_an_item_error(villages) -> None:
    assert harvester(villages).listing().ids == ("public.desa", "public.tanpa_kunci")
    (error,) = harvester(villages, {"remote": "tidak_ada"}).datasets()
    assert isinstance(error, ItemError)
    assert "tables" in harvester(villages).probe().details


def test_odd_values_become_null_and_never_break_the_run(postgres) -> None:  # noqa: F811
    url = postgres.database(postgis=True)
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute(
            "CREATE TABLE t (a integer, b text, x float8, d date, g geometry, PRIMARY KEY (a, b))"
        )
        connection.execute("INSERT INTO t VALUES (1, 'x', 'NaN', 'infinity',"
                           " 'SRID=23830;CURVEPOLYGON(CIRCULARSTRING("
                           "0 0, 2 2, 4 0, 2 -2, 0 0))'), (1, 'y', 2, '2025-01-01', NULL),"
                           " (2, 'z', 3, NULL, 'SRID=23830;POINT EMPTY')")  # fmt: skip
    content = content_of(harvester(url, {"remote": "t"}))
    assert content.schema().crs == "EPSG:23830"
    assert content.schema().geometry_type == "Geometry"
    (page,) = content.pages(content.listing(), set())
    assert page.batch.ids == ["1/x", "1/y", "2/z"]
    assert page.batch.rows[0] == {"a": 1, "b": "x", "x": None, "d": None}
    assert page.batch.geometries[0].area == pytest.approx(4 * 3.14159, rel=0.01)
    assert page.batch.geometries[1] is None
    assert page.batch.geometries[2] is None


def test_credentials_come_by_reference_and_never_show(villages, monkeypatch) -> None:
    monkeypatch.setenv("PG_USER", "tidak_ada")
    monkeypatch.setenv("PG_PASSWORD", "rahasia-sekali")
    url = villages.replace("postgres@", "")
    auth = {"username": "${PG_USER}", "password": "${PG_PASSWORD}"}
    with pytest.raises(AuthSourceError) as caught:
        harvester(url, auth=auth).probe()
    assert "rahasia" not in repr(caught.value) + str(caught.value)
    with pytest.raises(ConfigError, match="password stands in url"):
        harvester(url.replace("//", "//u:p@")).probe()


def test_private_addresses_need_the_deployments_leave() -> None:
    source = SourceConfig(
        id="pg", type="postgis", url="postgresql://127.0.0.1/x", produsen_data="D", layers=[{"remote": "*"}]
    )
    with pytest.raises(ForbiddenAddressError):
        PostgisHarvester(source, HttpClient(HarvestSettings(), source)).probe()
