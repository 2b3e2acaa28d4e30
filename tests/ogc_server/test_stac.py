"""STAC: pystac walks the catalog by its links, finds it valid, and the asset is the raster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pystac
import pystac.validation
import pytest
import rasterio
from pystac.extensions.projection import ProjectionExtension
from pystac.stac_io import DefaultStacIO

from tests.ogc_server.rasters import HIGH, WIDE, door, index, publish
from tests.ogc_server.world import World
from tests.servers import until


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, httpx.Client]]:
    folder = tmp_path_factory.mktemp("stac")
    with door(folder) as both:
        publish(
            both[0],
            "bahaya",
            index(3),
            folder,
            title="Indeks bahaya longsor",
            nodata=-9999,
            names=("indeks",),
        )
        yield both


class OverHttp(DefaultStacIO):
    """Reads through the test's client."""

    def __init__(self, client: httpx.Client) -> None:
        super().__init__()
        self.client = client

    def read_text(self, source: Any, *_: Any, **__: Any) -> str:
        answer = self.client.get(str(source))
        answer.raise_for_status()
        return answer.text


@pytest.fixture(scope="module")
def catalog(opened: tuple[World, httpx.Client]) -> pystac.Catalog:
    client = opened[1]

    def items() -> int:
        links = client.get("/stac/collections/bahaya").json()["links"]
        return [one["rel"] for one in links].count("item")

    until(lambda: items() == 2, "both versions")
    return pystac.Catalog.from_file(f"{client.base_url}/stac", stac_io=OverHttp(client))


def test_the_catalog_is_walked_and_valid(catalog: pystac.Catalog) -> None:
    found = {
        collection.id: [item.id for item in collection.get_items()] for collection in catalog.get_children()
    }
    assert {key: sorted(ids) for key, ids in found.items()} == {"bahaya": ["1", "2"], "kelas": ["1"]}
    for one in (catalog, *catalog.get_children(), *catalog.get_items(recursive=True)):
        raw = one.to_dict(transform_hrefs=False)
        raw.pop("stac_extensions", None)  # their schemas are on the network; the core's come with pystac
        pystac.validation.validate_dict(raw)


def test_an_item_tells_place_grid_and_bands(catalog: pystac.Catalog) -> None:
    item = catalog.get_child("kelas").get_item("1")  # type: ignore[union-attr]
    assert item is not None
    projection = ProjectionExtension.ext(item)
    assert projection.code == "EPSG:32748"
    assert projection.shape == [HIGH, WIDE]
    assert projection.transform == [100.0, 0.0, 700_000.0, 0.0, -100.0, 9_280_000.0]
    bands = item.assets["data"].to_dict()["bands"]
    assert [band["name"] for band in bands] == ["kelas", "nomor"]
    assert bands[1]["statistics"]["maximum"] == WIDE * HIGH - 1
    assert bands[1]["data_type"] == "uint32"
    assert item.bbox is not None
    assert item.bbox[0] < 107 < item.bbox[2]


def test_the_extensions_hold_what_they_promise(catalog: pystac.Catalog) -> None:
    """Their JSON Schemas are on the network only; these are their rules for the fields that we write.

    projection 2.0.0: `code` AUTHORITY:CODE, `bbox` of 4, `shape` two whole numbers, `transform` 6 or 9
    numbers; raster 2.0.0: `raster:sampling` of a band is area or point, `raster:histogram` has `count` buckets between
    `min` and `max`; file 2.1.0: `file:size` a whole
    number. A prefix of no declared extension, or a field that its extension does not know, is a mistake.
    """
    known = {
        "proj": {"code", "bbox", "shape", "transform", "wkt2"}, "raster": {"sampling", "histogram"},
        "file": {"size"},
    }  # fmt: skip
    for item in catalog.get_items(recursive=True):
        doc = item.to_dict(transform_hrefs=False)
        declared = {url.split("/")[3].removesuffix("ection") for url in doc["stac_extensions"]}
        assert declared == set(known)
        said, asset = doc["properties"], doc["assets"]["data"]
        places = (said, asset, doc["assets"]["thumbnail"], *asset["bands"])
        for prefix, _, name in (key.partition(":") for place in places for key in place if ":" in key):
            assert name in known[prefix]
        assert re.fullmatch(r"[A-Z]+:\d+", said["proj:code"])
        assert [len(said[f"proj:{name}"]) for name in ("bbox", "shape", "transform")] == [4, 2, 6]
        assert all(isinstance(one, int) and one > 0 for one in said["proj:shape"])
        assert isinstance(asset["file:size"], int)
        assert {band["raster:sampling"] for band in asset["bands"]} == {"area"}
        for band in asset["bands"]:
            histogram = band["raster:histogram"]
            assert len(histogram["buckets"]) == histogram["count"]
            assert histogram["min"] < histogram["max"]
            assert set(band["statistics"]) <= {
                "minimum",
                "maximum",
                "mean",
                "stddev",
                "count",
                "valid_percent",
            }
            assert band["data_type"] in ("uint8", "uint16", "uint32", "int16", "int32", "float32", "float64")


def test_the_landing_page_leads_to_the_catalog(opened: tuple[World, httpx.Client]) -> None:
    links = opened[1].get("/", headers={"accept": "application/json"}).json()["links"]
    href = next(link["href"] for link in links if link["href"].endswith("/stac"))
    assert opened[1].get(href).json()["type"] == "Catalog"


def test_the_asset_is_the_raster_of_that_version(
    catalog: pystac.Catalog, opened: tuple[World, httpx.Client], tmp_path: Path
) -> None:
    for version, truth in (("1", index()), ("2", index(3))):
        item = catalog.get_child("bahaya").get_item(version)  # type: ignore[union-attr]
        assert item is not None
        asset = item.assets["data"]
        body = opened[1].get(asset.href).content
        assert len(body) == asset.extra_fields["file:size"]
        (tmp_path / "a.tif").write_bytes(body)
        with rasterio.open(tmp_path / "a.tif") as file:
            assert (file.read(1) == truth).all()
        assert opened[1].get(item.assets["thumbnail"].href).headers["content-type"] == "image/png"


def test_what_is_not_there_is_missing(opened: tuple[World, httpx.Client]) -> None:
    for path in ("collections/tidak-ada", "collections/bahaya/items/9", "collections/bahaya/items/x",
                 "collections/bahaya/items/-1", "collections/bahaya-rahasia/items/1"):  # fmt: skip
        assert opened[1].get(f"/stac/{path}").status_code == 404, path
