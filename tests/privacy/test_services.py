"""Services: ArcGIS REST, WFS, PostGIS, CKAN tables, BMKG and CAP feeds bring in persons as features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import psycopg
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from catalog.model import RunState
from tests.harvesters.test_bmkg import bmkg, entry
from tests.harvesters.test_cap import feed
from tests.privacy.watch import KINDS, NIK, PLANTED, Watched, persons
from tests.servers.arcgis import FaultyArcGIS, layer_of
from tests.servers.ckan_speaker import speaking
from tests.servers.loopback import Answer, Asked, BadWfs, serve
from tests.servers.postgres import Postgres


def held_then_dropped(watched: Watched, take: Callable[..., Any], rows: int = 6) -> None:
    """The run is held for every planted column; without these columns it passes."""
    run = take()
    assert run.state is RunState.HELD, (run.reason, watched.catalog.runs.errors(run.id))
    said = watched.guards(run)
    assert {column for column, kind in KINDS.items() if kind in said.get(column, ())} == set(KINDS)
    watched.nowhere()
    run = take(drop=list(KINDS))
    assert run.state is RunState.OK, (run.reason, watched.catalog.runs.errors(run.id))
    assert len(watched.rows("warga")) == rows
    watched.nowhere()


def arcgis_layer(**first: Any) -> Any:
    fields = [{"name": n, "type": "esriFieldTypeString", "alias": n} for n in persons()[0]]
    fields[1] |= first
    rows = [(n, row, shapely.Point(107 + n / 100, -7)) for n, row in enumerate(persons(), start=1)]
    return layer_of(fields, rows, "esriGeometryPoint")


def test_arcgis(watched: Watched) -> None:
    with FaultyArcGIS([arcgis_layer()]) as server:
        held_then_dropped(
            watched,
            lambda **more: watched.take("arcgis", server.address, {"remote": "0", "id": "warga", **more}),
        )


def test_arcgis_alias_and_domain_labels_are_read_too(watched: Watched) -> None:
    domain = {"type": "codedValue", "name": "d", "codedValues": [{"code": NIK, "name": "Ya"}]}
    for first in ({"alias": f"contoh {NIK}"}, {"domain": domain}):
        with FaultyArcGIS([arcgis_layer(**first)]) as server:
            layer = {"remote": "0", "id": "warga", "drop": ["x2", "x3", "x4", "x5"]}
            assert watched.take("arcgis", server.address, layer).state is RunState.HELD
    watched.nowhere()


def planting(wfs: BadWfs) -> Callable[[Asked], Answer]:
    """Let a WFS say persons where it said names of desa."""

    def app(asked: Asked) -> Answer:
        answer = wfs(asked)
        body = answer.body.decode() if isinstance(answer.body, bytes) else answer.body
        for n in range(25, 0, -1):
            body = body.replace(f"Desa {n}<", f"warga {NIK}<").replace(f'"Desa {n}"', f'"warga {NIK}"')
        return Answer(body, answer.type, answer.status)

    return app


@pytest.mark.parametrize("geojson", [True, False])
def test_wfs(geojson: bool, watched: Watched) -> None:
    with serve(planting(BadWfs(count=6, geojson=geojson))) as url:
        layer = {"remote": "a:desa", "id": "warga"}
        run = watched.take("wfs", f"{url}/wfs", layer)
        assert watched.guards(run) == {"nama": {"nik"}}, run.reason
        watched.nowhere()
        assert watched.take("wfs", f"{url}/wfs", {**layer, "drop": ["nama"]}).state is RunState.OK
    assert len(watched.rows("warga")) == 6
    watched.nowhere()


def test_a_wfs_that_quotes_a_person_in_its_exception_is_not_quoted(watched: Watched) -> None:
    wfs = BadWfs(count=6, geojson=False, broken=(1, 2, 3, 4, 5, 6))

    def app(asked: Asked) -> Answer:
        answer = wfs(asked)
        text = answer.body.decode() if isinstance(answer.body, bytes) else answer.body
        return Answer(
            text.replace("can not be encoded", f"of NIK {NIK} is broken"), answer.type, answer.status
        )

    with serve(app) as url:
        run = watched.take("wfs", f"{url}/wfs", {"remote": "a:desa", "id": "warga"})
    assert run.state in (RunState.FAILED, RunState.INCOMPLETE)
    watched.nowhere()


def test_postgis(watched: Watched, postgres: Postgres) -> None:
    url = postgres.database(postgis=True).replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TABLE warga (gid integer PRIMARY KEY, kode text, x1 numeric, x2 bigint, x3 text, x4 text,"
            " x5 jsonb, geom geometry(Point, 4326))"
        )
        for n, row in enumerate(persons()):
            values = [
                n,
                row["kode"],
                row["x1"],
                int(row["x2"]),
                row["x3"],
                row["x4"],
                orjson.dumps({"a": row["x5"]}).decode(),
            ]
            connection.execute(
                "INSERT INTO warga VALUES (%s,%s,%s,%s,%s,%s,%s,ST_SetSRID(ST_Point(107,-7),4326))", values
            )
    held_then_dropped(
        watched, lambda **more: watched.take("postgis", url, {"remote": "warga", "id": "warga", **more})
    )


@pytest.mark.parametrize("kind", ["file", "datastore"])
def test_ckan_resources_and_datastore(kind: str, watched: Watched) -> None:
    lines = [",".join(persons()[0]), *(",".join(row.values()) for row in persons())]
    with speaking() as site:
        site.files["/unduh/warga.csv"] = "text/csv", "\n".join(lines).encode()
        resource = {"id": "0a1b2c3d-res", "name": "Warga", "format": "CSV", "url": f"{site.url}/unduh/warga.csv",
                    "datastore_active": kind == "datastore"}  # fmt: skip
        site.packages["warga"] = {"id": "pkg", "name": "warga", "title": "Warga", "resources": [resource]}
        fields = [{"id": "_id", "type": "int"}, *({"id": name, "type": "text"} for name in persons()[0])]
        site.tables["0a1b2c3d-res"] = fields, [{"_id": n, **row} for n, row in enumerate(persons(), start=1)]
        options = {"options": {"data": True}}
        run = watched.take("ckan", site.url, {"remote": "*"}, **options)
        assert run.state is RunState.HELD, (run.reason, watched.catalog.runs.errors(run.id))
        assert set(watched.guards(run)) >= set(KINDS)
        watched.nowhere()
        run = watched.take("ckan", site.url, {"remote": "*", "drop": list(KINDS)}, **options)
    assert run.state is RunState.OK, (run.reason, run.details)
    watched.nowhere()


def test_a_ckan_error_page_that_names_a_person_is_not_quoted(watched: Watched) -> None:
    with serve(lambda asked: Answer(f"<h1>500</h1> gagal untuk {NIK}, hp 084012345678", "text/html")) as url:
        assert watched.take("ckan", url, {"remote": "*"}).state is not RunState.OK
    watched.nowhere()


def test_bmkg(watched: Watched) -> None:
    feeds = {"autogempa": {"Infogempa": {"gempa": entry(Wilayah=f"laporan warga {NIK}")}}}
    with bmkg(feeds) as url:
        run = watched.take("bmkg", url, {"remote": "autogempa", "id": "gempa"})
        assert watched.guards(run) == {"wilayah": {"nik"}}, run.reason
        watched.nowhere()
        # an entry that can not be read is told of, but not with what it says
        feeds["autogempa"]["Infogempa"]["gempa"] = entry(DateTime=None, Tanggal=f"oleh {NIK}")
        watched.take("bmkg", url, {"remote": "autogempa", "id": "gempa"})
    watched.nowhere()


def test_cap(watched: Watched, shared_samples: Path) -> None:
    alert = (shared_samples / "bmkg_cap_CGT20260924002.xml").read_text("utf-8")
    begin = alert.index("<headline>") + len("<headline>")
    with feed({"a.xml": f"{alert[:begin]}{NIK} {alert[begin:]}"}) as url:
        run = watched.take("cap", url, {"remote": "*", "id": "peringatan"})
    assert "nik" in set().union(*watched.guards(run).values()), run.reason
    watched.nowhere()


@pytest.mark.parametrize("where", ["tag", "band", "name"])
def test_rasters_carry_texts_too(where: str, watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / (f"foto_{NIK}.tif" if where == "name" else "foto.tif")
    profile = {"driver": "GTiff", "width": 4, "height": 4, "count": 1, "dtype": "float32", "crs": "EPSG:4326",
               "transform": from_origin(107, -7, 0.01, 0.01)}  # fmt: skip
    with rasterio.open(path, "w", **profile) as sink:
        sink.write(np.ones((1, 4, 4), "float32"))
        if where == "tag":
            sink.update_tags(ARTIST=f"pemilik {NIK}")
        if where == "band":
            sink.set_band_description(1, f"rumah {NIK}")
    run = watched.take("raster", str(path), {"remote": "*"})
    assert run.code == "guard-personal", run.reason
    watched.nowhere()


def test_what_is_planted_is_what_is_looked_for() -> None:
    """The watch itself: a search that looks for the wrong thing would find nothing, and pass."""
    said = repr(persons())
    assert all(secret in said for secret in PLANTED)
