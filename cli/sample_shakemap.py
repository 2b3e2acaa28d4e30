"""`satudata sample shakemap`: the `grid.xml` of an earthquake that did not happen.

The form is that of the USGS (ShakeMap manual, products, grid XML). It stands here and not with the other
generators, because the intensities are those of `analysis.earthquake`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

import click
import numpy as np

from analysis.earthquake import Gempa, hypocentral_km, intensity
from catalog.errors import QueryError
from cli.app import App, Command, json_option, pass_app

_POINTS_MAX = 1_000_000
_KM_PER_DEGREE = 111.19
_STAMP = "2026-01-01T00:00:00UTC"


@click.command("shakemap", cls=Command)
@click.option("--lon", type=float, required=True)
@click.option("--lat", type=float, required=True)
@click.option("--magnitude", type=float, required=True)
@click.option("--depth", type=float, required=True)
@click.option("--reach", type=float, default=150, show_default=True)
@click.option("--spacing", type=float, default=0.025, show_default=True)
@click.option("--seed", default=2026, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@json_option
@pass_app
def shakemap(
    app: App, lon: float, lat: float, magnitude: float, depth: float, reach: float, spacing: float,
    seed: int, out: Path,
) -> None:  # fmt: skip
    """Write a synthetic ShakeMap."""
    quake = Gempa(lon, lat, magnitude, depth)
    with out.open("w", encoding="utf-8") as sink:
        sink.writelines(grid_xml(quake, reach, spacing, seed))
    if app.as_json:
        app.dump({"file": str(out), "synthetic": True})
    else:
        app.say("cli.sample.written", file=out)


def grid_xml(quake: Gempa, reach_km: float, spacing: float, seed: int) -> Iterator[str]:
    """Yield the lines of a `grid.xml` up to `reach_km` around the epicentre, `spacing` in degrees.

    Intensity after Allen et al. (2012) with noise that is smooth over a few cells (standard deviation
    0.3), as soils have it. QueryError when the grid would be empty or hold over a million points.
    """
    if not (reach_km > 0 and spacing > 0):
        raise QueryError("reach and spacing must be above 0", where="spacing")
    half = reach_km / _KM_PER_DEGREE
    steps = int(half / spacing)
    if not steps >= 1 or (2 * steps + 1) ** 2 > _POINTS_MAX:
        raise QueryError("the grid is empty or holds over a million points", where="spacing")
    offsets = np.arange(-steps, steps + 1) * spacing
    lon = quake.lon + offsets / max(0.1, np.cos(np.radians(quake.lat)))
    lat = (quake.lat + offsets)[::-1]
    x, y = (axis.ravel() for axis in np.meshgrid(lon, lat))
    mmi = intensity(quake.magnitudo, hypocentral_km(quake, x, y)) + _soil(seed, len(lat), len(lon)).ravel()
    yield from _head(quake, lon, lat)
    for one, two, value in zip(x, y, np.clip(mmi, 1, 10), strict=True):
        yield f"{one:.4f} {two:.4f} {value:.2f}\n"
    yield "</grid_data>\n</shakemap_grid>\n"


def _soil(seed: int, height: int, width: int) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), 3, mode="nearest")
    return np.asarray(0.3 * noise / noise.std())


def _head(quake: Gempa, lon: np.ndarray, lat: np.ndarray) -> Iterator[str]:
    own = quoteattr("contoh-sintetis")
    said = quoteattr("CONTOH SINTETIS, bukan gempa nyata / SYNTHETIC SAMPLE, not a real earthquake")
    yield '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    yield (
        f'<shakemap_grid xmlns="http://earthquake.usgs.gov/eqcenter/shakemap" event_id={own} '
        f'shakemap_id={own} shakemap_version="1" code_version="satudata-geo" process_timestamp="{_STAMP}" '
        'shakemap_originator="satudata-sample" map_status="RELEASED" shakemap_event_type="SCENARIO">\n'
    )
    yield (
        f'<event event_id={own} magnitude="{quake.magnitudo:g}" depth="{quake.kedalaman_km:g}" '
        f'lat="{quake.lat:g}" lon="{quake.lon:g}" event_timestamp="{_STAMP}" event_network="contoh" '
        f"event_description={said}/>\n"
    )
    yield (
        f'<grid_specification lon_min="{lon[0]:.4f}" lat_min="{lat[-1]:.4f}" lon_max="{lon[-1]:.4f}" '
        f'lat_max="{lat[0]:.4f}" nominal_lon_spacing="{lon[1] - lon[0]:.6f}" '
        f'nominal_lat_spacing="{lat[0] - lat[1]:.6f}" nlon="{len(lon)}" nlat="{len(lat)}"/>\n'
    )
    for number, (name, unit) in enumerate((("LON", "dd"), ("LAT", "dd"), ("MMI", "intensity")), start=1):
        yield f'<grid_field index="{number}" name="{name}" units="{unit}"/>\n'
    yield "<grid_data>\n"
