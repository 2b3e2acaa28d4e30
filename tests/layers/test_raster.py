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
from layers.raster import open_raster, verify_raster, write_cog
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


def test_what_a_mask_hides_is_not_counted(tmp_path: Path) -> None:
    """A mask or an alpha band says where there is no data; it is part of the content."""
    pixels, shown = np.arange(1, 4801, dtype="uint16").reshape(60, 80), np.ones((60, 80), bool)
    shown[:30] = False
    path = tiff(tmp_path / "a.tif", pixels)
    plain = cog(path, tmp_path / "layers")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as out:
        out.write_mask(shown)
    info = cog(path, tmp_path / "layers", 2)
    alpha = cog(
        tiff(tmp_path / "b.tif", np.stack([pixels, shown * 65535]).astype("uint16"), photometric="MINISBLACK", alpha="YES"),
        tmp_path / "layers", 3,
    )  # fmt: skip
    for one in (info, alpha):
        band = one.extra["bands"][0]
        assert (band["valid"], band["nodata_pixels"], band["min"], band["max"]) == (2400, 2400, 2401, 4800)
        assert sum(band["histogram"]["counts"]) == 2400
        verify_raster(one, tmp_path / "layers")
    assert info.checksum != plain.checksum
    old = replace(plain, extra={key: value for key, value in plain.extra.items() if key != "masked"})
    verify_raster(old, tmp_path / "layers")


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [("int8", "float32"), ("uint16", "float32"), ("int32", "float64"), ("float32", "float32")],
)
def test_packed_numbers_are_stored_as_the_values_they_mean(tmp_path: Path, dtype: str, stored: str) -> None:
    pixels = np.random.default_rng(3).integers(0, 100, (2, 60, 80)).astype(dtype)
    pixels[:, :10] = 101
    path = tiff(tmp_path / "a.tif", pixels, nodata=101)
    with rasterio.open(path, "r+") as out:
        out.scales, out.offsets, out.units = (0.1, 1.0), (-50.0, 0.0), ("degC", "")
    info = cog(path, tmp_path / "layers")
    meant = np.stack([pixels[0, 10:] * 0.1 - 50, pixels[1, 10:].astype(float)])
    for band, values in zip(info.extra["bands"], meant, strict=True):
        assert (band["dtype"], band["valid"], band["nodata_pixels"]) == (stored, 4000, 800)
        assert [band[k] for k in ("min", "max", "mean", "std")] == pytest.approx(
            [values.min(), values.max(), values.mean(), values.std()], rel=1e-5, abs=1e-5
        )
    with rasterio.open(open_raster(info, tmp_path / "layers")) as file:
        assert (file.scales, file.offsets, file.units) == ((1, 1), (0, 0), ("degC", None))
        read = file.read(masked=True)
    assert read.mask[:, :10].all()
    assert not read.mask[:, 10:].any()
    assert np.abs(read[:, 10:] - meant).max() < 1e-5


def test_a_histogram_counts_every_valid_cell(tmp_path: Path) -> None:
    pixels = hazard(300)
    band = cog(tiff(tmp_path / "a.tif", pixels, nodata=-9999), tmp_path / "layers").extra["bands"][0]
    valid = pixels[100:].astype("float64")
    counts, edges = np.histogram(valid, 20)
    assert band["histogram"]["counts"] == counts.tolist()
    assert (band["histogram"]["min"], band["histogram"]["max"]) == pytest.approx((edges[0], edges[-1]))
    few = np.array([[1, 2, 2], [3, 3, 3]], dtype="uint8")
    told = cog(tiff(tmp_path / "b.tif", few), tmp_path / "layers", 2).extra["bands"][0]["histogram"]
    assert told == {"min": 0.5, "max": 3.5, "counts": [1, 2, 3]}
    same = cog(tiff(tmp_path / "c.tif", np.full((4, 4), 3, "float32")), tmp_path / "layers", 3)
    assert "histogram" not in same.extra["bands"][0], "one value has no spread to draw"


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="complex64"):
        cog(tiff(tmp_path / "a.tif", np.ones((4, 4), "complex64")), tmp_path / "layers")
