"""Rasters: any GeoTIFF becomes a verified COG, a broken one is named, memory stays flat."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from catalog.errors import ProtocolError, PublishError
from catalog.model import VersionInfo
from layers.contract import LayerStore
from layers.raster import open_raster, write_cog
from tests.layers.conftest import NOW


def tiff(path: Path, pixels: Any, **options: Any) -> Path:
    bands = np.atleast_3d(pixels) if pixels.ndim == 3 else pixels[np.newaxis]
    profile = {"crs": "EPSG:4326", "transform": from_origin(107, -6, 0.001, 0.001), **options}
    profile = {k: v for k, v in profile.items() if v is not None}
    with rasterio.open(
        path, "w", driver="GTiff", width=bands.shape[2], height=bands.shape[1], count=bands.shape[0],
        dtype=bands.dtype, **profile,
    ) as out:  # fmt: skip
        out.write(bands)
    return path


def hazard(size: int = 1200) -> Any:
    y, x = np.mgrid[0:size, 0:size]
    pixels = (np.sin(x / 50) * np.cos(y / 70)).astype("float32")
    pixels[:100] = -9999
    return pixels


def cog(src: Path, root: Path, version: int = 1, **options: Any) -> VersionInfo:
    return write_cog(src, root, "bahaya", version, "run-1", clock=lambda: NOW, **options)


def test_a_geotiff_becomes_a_cog(tmp_path: Path) -> None:
    pixels = hazard()
    info = cog(tiff(tmp_path / "a.tif", pixels, nodata=-9999), tmp_path / "layers")
    assert (info.kind, info.run_id, info.created) == ("raster", "run-1", NOW)
    assert info.bbox == pytest.approx((107, -7.2, 108.2, -6))
    band = info.extra["bands"][0]
    valid = pixels[100:].astype("float64")
    assert (band["valid"], band["nodata_pixels"]) == (valid.size, 100 * 1200)
    assert [band[k] for k in ("min", "max", "mean", "std")] == pytest.approx(
        [valid.min(), valid.max(), valid.mean(), valid.std()], abs=1e-9
    )
    assert (info.extra["crs"], info.extra["nodata"], info.extra["dtype"]) == ("EPSG:4326", -9999, "float32")
    assert info.extra["resolution"] == pytest.approx([0.001, 0.001])
    path = open_raster(info, tmp_path / "layers")
    assert path.stat().st_mode & 0o222 == 0
    with rasterio.open(path) as stored:
        assert stored.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert stored.overviews(1) == info.extra["overviews"] != []
        assert (stored.read(1) == pixels).all()
        assert float(stored.tags(1)["STATISTICS_MAXIMUM"]) == pytest.approx(valid.max())
    assert [p.name for p in path.parent.iterdir()] == ["1.tif"]


def test_the_checksum_is_of_the_content(tmp_path: Path) -> None:
    pixels = hazard(600)
    plain = cog(tiff(tmp_path / "a.tif", pixels, nodata=-9999), tmp_path)
    packed = cog(tiff(tmp_path / "b.tif", pixels, nodata=-9999, compress="LZW", tiled=True), tmp_path, 2)
    assert plain.checksum == packed.checksum
    pixels[300, 300] += 1
    assert cog(tiff(tmp_path / "c.tif", pixels, nodata=-9999), tmp_path, 3).checksum != plain.checksum
    with pytest.raises(PublishError, match="already"):
        cog(tmp_path / "a.tif", tmp_path, 2)


def test_several_bands_and_other_crs(tmp_path: Path) -> None:
    pixels = np.arange(3 * 40 * 50, dtype="uint16").reshape(3, 40, 50)
    src = tiff(
        tmp_path / "a.tif", pixels, crs="EPSG:32748", transform=from_origin(700_000, 9_300_000, 30, 30)
    )
    info = cog(src, tmp_path)
    assert [b["max"] for b in info.extra["bands"]] == [1999, 3999, 5999]
    assert info.extra["crs"] == "EPSG:32748"
    assert info.bbox is not None
    assert 106 < info.bbox[0] < info.bbox[2] < 108
    assert -7 < info.bbox[1] < info.bbox[3] < -6


def test_nodata_may_be_given_and_must_fit(tmp_path: Path) -> None:
    src = tiff(tmp_path / "a.tif", np.array([[1, 255], [2, 3]], dtype="uint8"))
    info = cog(src, tmp_path, nodata=255)
    assert (info.extra["nodata"], info.extra["bands"][0]["max"]) == (255, 3)
    with pytest.raises(ProtocolError, match="nodata -1"):
        cog(src, tmp_path, 2, nodata=-1)


def test_undeclared_nodata_is_named(tmp_path: Path) -> None:
    pixels = hazard(60)
    pixels[0, 0] = np.finfo("float32").min
    src = tiff(tmp_path / "a.tif", pixels)
    with pytest.raises(ProtocolError, match="does not declare") as caught:
        cog(src, tmp_path)
    assert "nodata" in caught.value.hint()
    assert cog(src, tmp_path, nodata=float(np.finfo("float32").min)).extra["bands"][0]["min"] == -9999


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, keep: float) -> None:
    whole = tiff(tmp_path / "a.tif", hazard(), nodata=-9999).read_bytes()
    half = tmp_path / "half.tif"
    half.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(ProtocolError):
        cog(half, tmp_path / "layers")
    assert list((tmp_path / "layers" / "bahaya").iterdir()) == []


def test_what_is_no_raster_or_has_no_place_is_refused(tmp_path: Path) -> None:
    html = tmp_path / "a.tif"
    html.write_text("<html>Service unavailable</html>")
    with pytest.raises(ProtocolError, match="corrupt"):
        cog(html, tmp_path)
    pixels = hazard(60)
    with pytest.raises(ProtocolError, match="CRS"):
        cog(tiff(tmp_path / "b.tif", pixels, crs=None), tmp_path)
    assert cog(tmp_path / "b.tif", tmp_path, crs="EPSG:4326").extra["crs"] == "EPSG:4326"
    empty = np.full((20, 20), -9999, dtype="float32")
    with pytest.raises(ProtocolError, match="no valid pixel"):
        cog(tiff(tmp_path / "d.tif", empty, nodata=-9999), tmp_path, 2)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_raster_without_geotransform_is_refused(tmp_path: Path) -> None:
    src = tiff(tmp_path / "c.tif", hazard(60), transform=None)
    with pytest.raises(ProtocolError, match="geotransform"):
        cog(src, tmp_path)


def test_stores_list_verify_and_remove_rasters(store: LayerStore, tmp_path: Path) -> None:
    root = store.root  # type: ignore[attr-defined]
    src = tiff(tmp_path / "a.tif", hazard(600), nodata=-9999)
    info = write_cog(src, root, "raster-saja", store.next_version("raster-saja"), "r")
    assert store.versions("raster-saja") == [1]
    store.verify(info)
    with pytest.raises(PublishError, match="checksum"):
        store.verify(replace(info, checksum="0"))
    path = open_raster(info, root)
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(PublishError):
        store.verify(info)
    store.remove("raster-saja", 1)
    assert store.versions("raster-saja") == []
    with pytest.raises(PublishError, match="not stored"):
        open_raster(info, root)


@pytest.mark.parametrize(("decimals", "predictor"), [(2, None), (None, "3")])
def test_blocks_suit_a_map_tile_and_are_packed_the_smaller_way(
    tmp_path: Path, decimals: int | None, predictor: str | None
) -> None:
    """Rounded values pack best as they are, endless ones after a predictor (the tag is left out for none)."""
    pixels = hazard() if decimals is None else hazard().round(decimals)
    info = cog(tiff(tmp_path / "a.tif", pixels, nodata=-9999), tmp_path / "layers")
    path = open_raster(info, tmp_path / "layers")
    with rasterio.open(path) as stored:
        assert set(stored.block_shapes) == {(256, 256)}
        assert stored.tags(ns="IMAGE_STRUCTURE").get("PREDICTOR") == predictor
        least = stored.overviews(1)[-1]
        assert max(stored.width, stored.height) / least <= 256
        assert (stored.read(1) == pixels).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (300, 5)])
def test_a_raster_smaller_than_a_block_is_stored(tmp_path: Path, shape: tuple[int, int]) -> None:
    pixels = np.arange(shape[0] * shape[1], dtype="float64").reshape(shape)
    info = cog(tiff(tmp_path / "a.tif", pixels), tmp_path / "layers")
    with rasterio.open(open_raster(info, tmp_path / "layers")) as stored:
        assert (stored.read(1) == pixels).all()
