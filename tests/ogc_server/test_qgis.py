"""QGIS draws what we give it in the colours of our legends: QML, SLD, QLR, the field kit, connections.

Every feature's own colour is looked at, in every form of every style of points, lines and areas.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import shapely

from catalog.model import FieldDef, FieldType, LayerSchema, RegionCode
from layers.contract import FeatureBatch
from tests.ogc_server.conftest import running
from tests.ogc_server.world import World, desa, fill, make_settings, open_world
from tests.servers import qgis

STYLES = """
id: cianjur
type: file
url: tidak-dipakai.gpkg
produsen_data: Badan Informasi Geospasial
layers:
  - remote: batas
    id: batas
    style: {column: luas, classes: 5, method: quantile, title: {id: Luas desa, en: Village area}}
  - remote: zona
    id: zona
    style: {column: nilai, method: breaks, breaks: [-10, 0, 10, 25]}
    styles:
      bulat: {column: bulat, method: categories}
      ya: {column: ya, method: categories}
      polos: {color: "#cc3311"}
  - remote: titik
    id: titik
    styles:
      jenis: {column: jenis, method: categories}
      stok: {column: stok, method: equal, classes: 4, palette: ylorrd}
  - remote: jalan
    id: jalan
    style: {column: kelas, method: categories}
"""
BATAS = LayerSchema(
    (FieldDef("kode"), FieldDef("nama"), FieldDef("luas", FieldType.REAL)),
    "MultiPolygon",
    region_code=RegionCode(field="kode", vintage=2025),
)
ZONA = LayerSchema(
    (FieldDef("kode"), FieldDef("nama"), FieldDef("nilai", FieldType.REAL), FieldDef("bulat", FieldType.INTEGER),
     FieldDef("ya", FieldType.BOOLEAN)),
    "Polygon",
)  # fmt: skip
TITIK = LayerSchema(
    (FieldDef("kode"), FieldDef("nama"), FieldDef("jenis"), FieldDef("stok", FieldType.INTEGER)), "Point"
)
JALAN = LayerSchema((FieldDef("kode"), FieldDef("nama"), FieldDef("kelas")), "LineString")
BOXES = {
    "batas": (106.75, -7.55, 107.45, -6.6), "zona": (106.9, -7.35, 107.5, -6.9),
    "titik": (106.95, -7.25, 107.4, -6.95), "jalan": (106.95, -7.3, 107.45, -6.95),
}  # fmt: skip
FORMS = ("qml", "sld", "qlr")
KINDS = ["Toko O'Neil", 'Gudang "besar"', "Pasar & Co", "<lain>", *(f"jenis {n}" for n in range(6)), None]


def batch(rows: list[dict[str, Any]], shapes: list[shapely.Geometry]) -> FeatureBatch:
    return FeatureBatch([row["kode"] for row in rows], rows, np.array(shapes, dtype=object))


def publish(world: World, data: Path) -> None:
    villages = desa(data)
    rows = [
        {"kode": i, "nama": row["nama"], "luas": row["luas"] if n else None}
        for n, (i, row) in enumerate(zip(villages.ids, villages.rows, strict=True))
    ]
    world.publish("batas", BATAS, FeatureBatch(villages.ids, rows, villages.geometries), title="Batas Desa")
    cells = [
        shapely.box(107 + i / 10, -7.1 - j / 10, 107.1 + i / 10, -7 - j / 10)
        for j in range(3)
        for i in range(4)
    ]
    rows = [
        {"kode": f"{n:02}", "nama": f"Zona {n}", "nilai": None if n == 11 else 5.0 * n - 20, "bulat": n % 3,
         "ya": n % 2 == 0}
        for n in range(12)
    ]  # fmt: skip
    world.publish("zona", ZONA, batch(rows, list(cells)))
    rows = [
        {"kode": f"0{n:03}", "nama": f"Gudang {n}", "jenis": KINDS[n % len(KINDS)],
         "stok": None if n == 7 else n * 10}
        for n in range(40)
    ]  # fmt: skip
    places = [shapely.Point(107 + n % 8 / 20, -7 - n // 8 / 20) for n in range(40)]
    world.publish("titik", TITIK, batch(rows, places), title="Titik O'Neil & <Co>")
    kinds = ("nasional", "provinsi", None)
    rows = [{"kode": str(n), "nama": f"Jalan {n}", "kelas": kinds[n % 3]} for n in range(6)]
    roads = [shapely.LineString([(107, -7 - n / 20), (107.4, -7 - n / 20)]) for n in range(6)]
    world.publish("jalan", JALAN, batch(rows, list(roads)))


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Iterator[httpx.Client]:
    settings = make_settings(tmp_path_factory.mktemp("qgis"))
    kit = settings.downloads.model_copy(update={"field_kit": ["batas", "titik", "zona", "idm"]})
    world = open_world(settings.model_copy(update={"downloads": kit}))
    (settings.config_dir / "sources" / "cianjur.yml").write_text(STYLES, "utf-8")
    publish(world, shared_data)
    fill(world, shared_data, ("idm",))
    with running(world) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield client
    world.close()


def colour(legend: dict[str, Any], value: Any) -> str:
    """The legend's colour of a value, read as people read it."""
    entries = legend["entries"]
    if legend["column"] is None:
        return str(entries[0]["color"])
    plain = [one for one in entries if not one.get("noData")]
    if value is None:
        return next(str(one["color"]) for one in entries if one.get("noData"))
    for one in plain:
        if "value" in one and one["value"] == value:
            return str(one["color"])
        if (
            "min" in one
            and (one["min"] is None or value >= one["min"])
            and (one["max"] is None or value < one["max"])
        ):
            return str(one["color"])
    return next(str(one["color"]) for one in plain if "value" not in one and "min" not in one)


def on_white(shade: str, opacity: float) -> list[float]:
    return [int(shade[i : i + 2], 16) * opacity + 255 * (1 - opacity) for i in (1, 3, 5)]


def wrong(at: dict[str, str], wanted: dict[str, str], opacity: float) -> dict[str, tuple[str, str]]:
    """Which features were drawn in another colour than wanted."""
    found = {}
    for key, seen in at.items():
        pairs = zip(on_white(seen, 1), on_white(wanted[key], opacity), strict=True)
        if max(abs(a - b) for a, b in pairs) > 4:
            found[key] = (seen, wanted[key])
    return found


def rounded_limit(legend: dict[str, Any], value: Any) -> bool:
    """QGIS 3.22 keeps six digits of a limit in an SLD: a value that rounds to one may be either class's."""
    limits = {f"{one['min']:.6g}" for one in legend["entries"] if one.get("min") is not None}
    return isinstance(value, float) and f"{value:.6g}" in limits


@pytest.fixture(scope="module")
def told(web: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What QGIS saw of every style of every layer in every form, drawn in one go."""
    folder = tmp_path_factory.mktemp("drawn")
    jobs = []
    for layer, box in BOXES.items():
        for style in web.get(f"/collections/{layer}/styles").json()["styles"]:
            for form in FORMS:
                name = f"{layer}-{style['id']}-{form}"
                path = folder / f"{name}.{form}"
                path.write_bytes(
                    web.get(f"/collections/{layer}/styles/{style['id']}?f={form}").raise_for_status().content
                )
                source = f"url='{web.base_url}' typename='{layer}' pagingEnabled='true'"
                opened = {"data": source, "provider": "OAPIF", "style": str(path)}
                jobs.append(
                    {"name": name, "box": box, "key": "kode"}
                    | ({"qlr": str(path)} if form == "qlr" else opened)
                )
    return qgis.draw(jobs, folder)


def styles(layer: str, web: httpx.Client) -> list[str]:
    return [one["id"] for one in web.get(f"/collections/{layer}/styles").json()["styles"]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layer", BOXES)
def test_every_feature_has_the_legends_colour(
    web: httpx.Client, told: dict[str, Any], layer: str, form: str
) -> None:
    features = web.get(f"/collections/{layer}/items?limit=1000").json()["features"]
    for style in styles(layer, web):
        seen = told[f"{layer}-{style}-{form}"]
        assert (seen["valid"], seen["errors"], seen["count"]) == (True, [], len(features)), style
        legend = web.get(f"/collections/{layer}/styles/{style}?f=legend").json()
        values = {one["id"]: one["properties"].get(legend["column"]) for one in features}
        wanted = {key: colour(legend, value) for key, value in values.items()}
        opacity = legend["opacity"] if layer in ("batas", "zona") else 1
        assert seen["at"].keys() == wanted.keys()
        off = wrong(seen["at"], wanted, opacity)
        if form == "sld":
            off = {key: one for key, one in off.items() if not rounded_limit(legend, values[key])}
        assert off == {}, style


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("layer", BOXES)
def test_names_are_written(told: dict[str, Any], layer: str, form: str) -> None:
    drawn = [seen for name, seen in told.items() if name.startswith(layer) and name.endswith(form)]
    assert min(seen["written"] for seen in drawn) > 50


@pytest.mark.parametrize("form", FORMS)
def test_qgis_legend_says_what_our_legend_says(web: httpx.Client, told: dict[str, Any], form: str) -> None:
    for layer in BOXES:
        for style in styles(layer, web):
            legend = web.get(f"/collections/{layer}/styles/{style}?f=legend").json()
            if legend["column"]:
                labels = [one["label"] for one in legend["entries"]]
                assert told[f"{layer}-{style}-{form}"]["legend"] == labels, (layer, style)


JOIN = "/collections/idm/styles/choropleth?geometry=batas&column=idm&code=fid&classes=4&method=quantile"


def test_a_table_on_areas_has_the_legends_colours(web: httpx.Client, tmp_path: Path) -> None:
    """Each desa has the colour of its value in the other collection, whichever file it was told by."""
    jobs = []
    for form in FORMS:
        path = tmp_path / f"join.{form}"
        path.write_bytes(web.get(f"{JOIN}&f={form}").raise_for_status().content)
        source = f"url='{web.base_url}' typename='batas' pagingEnabled='true'"
        opened = {"data": source, "provider": "OAPIF", "style": str(path)}
        jobs.append(
            {"name": form, "box": BOXES["batas"], "key": "kode"}
            | ({"qlr": str(path)} if form == "qlr" else opened)
        )
    told = qgis.draw(jobs, tmp_path)
    said = web.get(f"{JOIN}&f=values").json()
    codes = [one["id"] for one in web.get("/collections/batas/items?limit=1000").json()["features"]]
    wanted = {code: colour(said["legend"], said["values"].get(code)) for code in codes}
    assert len(set(wanted.values())) == 5  # four classes, and desa without a value
    for form in FORMS:
        assert told[form]["errors"] == []
        assert wrong(told[form]["at"], wanted, said["legend"]["opacity"]) == {}, form
        assert told[form]["legend"] == [one["label"] for one in said["legend"]["entries"]], form
    assert told["qlr"]["title"] == "Batas Desa: idm menurut wilayah"
    assert told["qlr"]["kind"] == "categorizedSymbol"


KIT = {"batas": "default", "zona": "default", "titik": "jenis"}


def test_the_field_kit_opens_in_its_styles(web: httpx.Client, tmp_path: Path) -> None:
    """QGIS takes the default style of each layer out of the GeoPackage by itself; no server is asked."""
    path = tmp_path / "kit.gpkg"
    path.write_bytes(web.get("/downloads/paket-lapangan-32.03.gpkg").raise_for_status().content)
    jobs = [
        {"name": layer, "data": f"{path}|layername={layer}", "box": BOXES[layer], "key": "kode"}
        for layer in KIT
    ]
    told = qgis.draw(jobs, tmp_path)
    for layer, style in KIT.items():
        features = web.get(f"/collections/{layer}/items?limit=1000").json()["features"]
        legend = web.get(f"/collections/{layer}/styles/{style}?f=legend").json()
        wanted = {one["id"]: colour(legend, one["properties"][legend["column"]]) for one in features}
        seen = told[layer]
        assert wrong(seen["at"], wanted, legend["opacity"] if layer != "titik" else 1) == {}, layer
        assert seen["written"] > 50
    with sqlite3.connect(path) as db:
        kept = db.execute("SELECT f_table_name, styleName, useAsDefault FROM layer_styles").fetchall()
    db.close()
    assert len([1 for table, _, first in kept if table == "zona" and first]) == 1
    assert len([1 for table, _, _ in kept if table == "zona"]) == 4
    assert len(told["batas"]["at"]) == 360


def test_the_connection_file_brings_every_collection(web: httpx.Client, tmp_path: Path) -> None:
    body = web.get("/downloads/qgis-satudata.xml").raise_for_status().content
    told = qgis.connect(body, tmp_path)
    assert list(told) == ["Data Uji"]
    names = {uri.split("typename='")[1].split("'")[0] for _, uri in told["Data Uji"]}
    assert names == {one["id"] for one in web.get("/collections").json()["collections"]}
    assert {"batas", "zona", "titik", "jalan", "idm"} < names
