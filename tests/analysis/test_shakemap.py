"""ShakeMaps in the USGS's own form, generated with a seed: what is read, who is hit, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from analysis.affected import affected_by_earthquake
from analysis.earthquake import Gempa, hypocentral_km, intensity
from analysis.lookup import DesaIndex
from analysis.shakemap import affected_by_shakemap, degrees, read_grid_xml
from catalog.errors import QueryError

QUAKE = Gempa(107.05, -6.86, 5.6, 11)
FIELDS = ("LON", "LAT", "PGA", "PGV", "MMI", "PSA03", "PSA10", "PSA30", "STDPGA", "URAT", "SVEL")


def grid_xml(
    quake: Gempa = QUAKE, *, nodes: int = 181, step: float = 1 / 60, shuffled: bool = False, fields=FIELDS
) -> str:
    """A grid as ShakeMap 3.5 and 4 write it: header, fields by index, one node a line, north-west first."""
    half = (nodes - 1) / 2 * step
    lon = quake.lon - half + step * np.arange(nodes)
    lat = quake.lat + half - step * np.arange(nodes)
    place = np.stack(np.meshgrid(lon, lat), axis=-1).reshape(-1, 2)
    mmi = intensity(quake.magnitudo, hypocentral_km(quake, *place.T))
    rows = []
    for (x, y), i in zip(place.tolist(), mmi.tolist(), strict=True):
        cells = {"LON": f"{x:.4f}", "LAT": f"{y:.4f}", "MMI": f"{i:.2f}"}
        rows.append(" ".join(cells.get(name, "0.1") for name in fields))
    if shuffled:
        np.random.default_rng(3).shuffle(rows)
    listed = "\n".join(
        f'<grid_field index="{n}" name="{name}" units="x" />' for n, name in enumerate(fields, 1)
    )
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<shakemap_grid xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xmlns="http://earthquake.usgs.gov/eqcenter/shakemap"
 xsi:schemaLocation="http://earthquake.usgs.gov http://earthquake.usgs.gov/eqcenter/shakemap/xml/schemas/shakemap.xsd"
 event_id="uji2022" shakemap_id="uji2022" shakemap_version="3" code_version="4.1"
 process_timestamp="2022-11-21T07:00:00Z" shakemap_originator="uji" map_status="RELEASED" shakemap_event_type="ACTUAL">
<event event_id="uji2022" magnitude="{quake.magnitudo}" depth="{quake.kedalaman_km}" lat="{quake.lat}" lon="{quake.lon}"
 event_timestamp="2022-11-21T06:21:10UTC" event_network="uji" event_description="SINTETIS" />
<grid_specification lon_min="{lon[0]:.6f}" lat_min="{lat[-1]:.6f}" lon_max="{lon[-1]:.6f}" lat_max="{lat[0]:.6f}"
 nominal_lon_spacing="{step:.6f}" nominal_lat_spacing="{step:.6f}" nlon="{nodes}" nlat="{nodes}" />
<event_specific_uncertainty name="mi" value="0.5" numsta="4" />
{listed}
<grid_data>
{chr(10).join(rows)}
</grid_data>
</shakemap_grid>
"""


@pytest.fixture(scope="module")
def content() -> str:
    return grid_xml()


def test_the_grid_is_read_as_it_lies(content: str) -> None:
    found = read_grid_xml(content)
    assert found.mmi.shape == (181, 181)
    assert (found.west, found.north) == pytest.approx((107.05 - 1.5, -6.86 + 1.5))
    assert int(found.mmi.argmax()) == 90 * 181 + 90
    assert found.mmi.max() == pytest.approx(intensity(5.6, np.array([11.0]))[0], abs=0.006)
    assert found.sumber() == "ShakeMap grid.xml (uji2022 v3, uji, 2022-11-21T06:21:10UTC)"


def test_lines_and_fields_come_in_any_order(content: str) -> None:
    other = read_grid_xml(grid_xml(shuffled=True, fields=("MMI", "LAT", "LON")).encode())
    assert np.array_equal(other.mmi, read_grid_xml(content).mmi)


def test_a_grid_of_the_relation_hits_whom_the_relation_hits(country: DesaIndex, content: str) -> None:
    """The relation is asked at one point of a desa, the grid below all of it: the same within a cell."""
    shaken = affected_by_shakemap(country, read_grid_xml(content), least_mmi=5)
    asked = affected_by_earthquake(country, QUAKE, least_mmi=5)
    by_code = {one.kode: one for one in shaken.desa}
    assert {one.kode for one in asked.desa} <= set(by_code)
    for one in asked.desa:
        assert by_code[one.kode].mmi == pytest.approx(one.mmi, abs=0.45)
        assert (by_code[one.kode].mmi or 0) >= (one.mmi or 0) - 0.05
    for one in shaken.desa:
        assert 0 < one.bagian <= 1
        assert one.bagian == pytest.approx(sum(one.bagian_kelas.values()))
    strongest = max(shaken.desa, key=lambda one: one.mmi or 0)
    assert strongest.kelas == "VII"
    [kabupaten] = [one for one in shaken.wilayah["kabkota"] if one.kode == "32.03"]
    assert kabupaten.mmi == strongest.mmi
    assert strongest.as_dict()["mmi"] == round(strongest.mmi or 0, 2)
    assert "sigma" not in strongest.as_dict()
    assert "ShakeMap" in shaken.sumber_intensitas


def test_a_raster_of_intensities_is_the_same(country: DesaIndex, content: str, tmp_path: Path) -> None:
    """The USGS's rasters declare no CRS."""
    grid = read_grid_xml(content)
    rows, columns = grid.mmi.shape
    step = grid.step_lon
    place = from_origin(grid.west - step / 2, grid.north + step / 2, step, grid.step_lat)
    path = tmp_path / "mmi_mean.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=columns, height=rows, count=1, dtype="float64", transform=place
    ) as file:
        file.write(grid.mmi, 1)
    assert list(affected_by_shakemap(country, path).desa) == list(affected_by_shakemap(country, grid).desa)
    assert "mmi_mean.tif" in affected_by_shakemap(country, path).sumber_intensitas


def test_classes_begin_where_asked() -> None:
    assert [(one.mulai, one.kelas) for one in degrees(5.0)][:3] == [(5.0, "V"), (5.5, "VI"), (6.5, "VII")]
    assert [(one.mulai, one.kelas) for one in degrees(6.5)][:2] == [(6.5, "VII"), (7.5, "VIII")]
    assert [(one.mulai, one.kelas) for one in degrees(10)] == [(10.0, "X")]


BOMB = '<!DOCTYPE a [<!ENTITY b "5 5 5"><!ENTITY c "&b;&b;&b;">]>'


@pytest.mark.parametrize(
    ("change", "by"),
    [
        ('name="MMI"', 'name="XYZ"'),
        ('nlon="181"', 'nlon="180"'),
        ('nlon="181"', 'nlon="x"'),
        ("</grid_data>", "107 -6 1</grid_data>"),
        ("</shakemap_grid>", ""),
        ('lat_max="-5', 'lat_max="95'),
        ("shakemap_grid", "gempa"),
        ('<?xml version="1.0" encoding="UTF-8" standalone="yes"?>', BOMB),
        ("<grid_data>\n", '<grid_data>\n<x href="file:///etc/hosts"/>'),
        ("105.5500 -5.3600", "nan -5.3600"),
        ("105.5500 -5.3600", "105.5500 -5.3500"),
    ],
)
def test_what_is_no_grid_is_refused(content: str, change: str, by: str) -> None:
    assert change in content
    with pytest.raises(QueryError) as error:
        read_grid_xml(content.replace(change, by, 1))
    assert error.value.where == "shakemap"


@pytest.mark.parametrize("junk", [b"", b"PNG", b"\xff\xfe", "<a/>", "[]"])
def test_what_is_no_xml_is_refused(junk: bytes | str) -> None:
    with pytest.raises(QueryError) as error:
        read_grid_xml(junk)
    assert error.value.where == "shakemap"
