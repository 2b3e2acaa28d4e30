"""How a raster is coloured: classes or a ramp over the values of one band.

A rule stands under `style` of the layer in its source's file. Without one, a hazard index
between 0 and 1 gets the three classes of BNPB (Perka BNPB 2/2012: up to 1/3 rendah, up to 2/3 sedang,
above tinggi) in green, yellow and red; anything else viridis from its least to its greatest value.

It stands here and not with the server because archives of map tiles are drawn by it, beside the server.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import orjson
from pydantic import Field, ValidationError, model_validator

from catalog.messages import LANGS, text
from catalog.model import DatasetRecord, Localized, VersionInfo
from catalog.sources import LocalizedText, Strict
from layers.raster_read import Values
from layers.style.palettes import colours, rgb

LOGGER = logging.getLogger(__name__)
type Rgb = tuple[int, int, int]
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]

_HAZARD = re.compile(r"bahaya|hazard|inarisk|kerentanan|risiko", re.IGNORECASE)
_TRAFFIC = ("#1a9850", "#fee08b", "#d73027")
_LEVELS = ("rendah", "sedang", "tinggi")
_STEPS = 10
_SHADES = 254
_FEW = 16
_STEEPEST = 1e30
_AT_ONCE = 1_000_000
"""Values turned into colours at once: a large picture must not take its size in memory eight times."""


@dataclass(frozen=True, slots=True)
class Band:
    """One field of the range. `index` is from 1; statistics as `layers.raster` made them."""

    name: str
    index: int
    dtype: str
    unit: str
    statistics: dict[str, Any] = field(compare=False)
    histogram: dict[str, Any] = field(compare=False, repr=False, default_factory=dict)

    @property
    def whole(self) -> bool:
        """Tell whether the values are whole numbers."""
        return np.dtype(self.dtype).kind in "iu"


def bands_of(info: VersionInfo) -> tuple[Band, ...]:
    """Return the bands of a version, each under a name of its own."""
    found: list[Band] = []
    for index, said in enumerate(info.extra.get("bands") or (), start=1):
        taken = {band.name for band in found}
        name = said["name"] if said["name"] not in taken else f"{said['name']}_{index}"
        figures = {key: said.get(key) for key in ("min", "max", "mean", "std", "valid", "nodata_pixels")}
        found.append(
            Band(name, index, said["dtype"], said.get("unit") or "", figures, said.get("histogram") or {})
        )
    return tuple(found)


class StyleClass(Strict):
    """Values above the class before, up to and with `up_to`; without it: all that is above."""

    up_to: float | None = None
    color: Colour
    label: LocalizedText = Field(default_factory=Localized)


class RampStop(Strict):
    """One value of a ramp and its colour; between two stops colours are mixed."""

    value: float
    color: Colour


class RasterRule(Strict):
    """`style` of a raster layer: either classes or a ramp."""

    band: str | None = Field(default=None, description="Band to show; default: the first one")
    classes: list[StyleClass] = Field(default_factory=list, max_length=_SHADES)
    ramp: list[RampStop] = Field(default_factory=list, max_length=_SHADES)

    @model_validator(mode="after")
    def _one_rule(self) -> RasterRule:
        if bool(self.classes) == bool(self.ramp):
            raise ValueError("give either `classes` or `ramp`")
        if any(one.up_to is None for one in self.classes[:-1]):
            raise ValueError("only the last class may have no `up_to`")
        ends = [one.up_to for one in self.classes if one.up_to is not None]
        values = [stop.value for stop in self.ramp] or ends
        if values != sorted(set(values)):
            raise ValueError("values must grow")
        if len(self.ramp) == 1:
            raise ValueError("a ramp needs two stops at least")
        return self


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a legend: the values it stands for, its colour and its name."""

    low: float | None
    high: float | None
    colour: str
    label: Localized


@dataclass(frozen=True, slots=True)
class Style:
    """A rule ready for use. Index 0 of the palette is "no data"; `entries` make the legend."""

    band: Band
    kind: str
    palette: tuple[Rgb, ...] = field(repr=False)
    """What `entries` say, shade by shade: left out of `repr`, which goes into validators."""
    bounds: tuple[float, ...]
    entries: tuple[Entry, ...]

    def indexes(self, values: Values) -> npt.NDArray[np.uint8]:
        """Return the palette index of each value of one band."""
        rows = max(1, _AT_ONCE // max(1, values.shape[-1]))
        parts = [self._indexes(values[top : top + rows]) for top in range(0, len(values), rows)]
        return np.concatenate(parts)

    def _indexes(self, values: Values) -> npt.NDArray[np.uint8]:
        data, mask = np.ma.getdata(values), np.ma.getmaskarray(values)
        if data.dtype.itemsize == 1:  # fewer values than pixels: colour each value once
            low = int(np.iinfo(data.dtype).min)
            each = self._colours(np.arange(low, low + 256, dtype=np.float64))
            found = each.take(data.astype(np.intp) - low)
        else:
            found = self._colours(np.where(mask, data.dtype.type(0), data))
        found *= ~mask
        return found

    def _colours(self, data: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """Return the palette index of values, all of them valid."""
        if self.kind == "classes":
            found = _above(data.astype(np.float64), self.bounds) + np.uint8(1)
            found *= found < len(self.palette)  # none above the last class
            return found
        low, high = self.bounds
        if not high > low:
            return np.ones(data.shape, dtype=np.uint8)
        with np.errstate(over="ignore"):  # infinitely far up is the last shade
            shade: npt.NDArray[Any] = (data - low) * min((_SHADES - 1) / (high - low), _STEEPEST)
        shade += 1.5  # what is cut off below is rounded so
        return shade.clip(1, _SHADES, out=shade).astype(np.uint8)


def _above(data: npt.NDArray[np.float64], bounds: Sequence[float]) -> npt.NDArray[np.uint8]:
    """Return how many of the (growing) bounds each value is above."""
    if len(bounds) > _FEW:
        return np.searchsorted(bounds, data, side="left").astype(np.uint8)
    found = np.zeros(data.shape, dtype=np.uint8)
    for bound in bounds:  # a few comparisons cost less than a search
        found += data > bound
    return found


def style_for(info: VersionInfo, record: DatasetRecord, said: Mapping[str, Any]) -> Style | None:
    """Return the colour rule of a version: the `style` that its source's file says, else what fits it.

    None for a version that does not say its bands. A rule that is not understood is logged.
    """
    bands = bands_of(info)
    if not bands:
        return None
    rule = _rule(orjson.dumps(said["style"])) if said.get("style") else None
    if rule is not None:
        band = next((one for one in bands if rule.band in (None, one.name, str(one.index))), None)
        if band is not None:
            return _of_rule(rule, band)
        LOGGER.error("style of %s: there is no band %s", info.layer_id, rule.band)
    filled = next((band for band in bands if band.statistics["min"] is not None), bands[0])
    return _default(info.layer_id, record, filled)


@lru_cache(maxsize=256)
def _rule(said: bytes) -> RasterRule | None:
    """Return a rule; one that is wrong is reported once, and the layer has default colours."""
    try:
        return RasterRule.model_validate_json(said)
    except ValidationError as error:
        LOGGER.error("style is not used: %s", error)
        return None


def _of_rule(said: RasterRule, band: Band) -> Style:
    if said.classes:
        return _classes(band, said.classes)
    return _ramp(band, [(stop.value, stop.color) for stop in said.ramp])


def _default(layer_id: str, record: DatasetRecord, band: Band) -> Style:
    least, most = band.statistics["min"], band.statistics["max"]
    if least is None or most is None:
        least = most = 0.0
    named = " ".join([layer_id, *(record.title.get(lang) or "" for lang in LANGS), *record.keywords])
    if _HAZARD.search(named):
        if not band.whole and least >= 0 and most <= 1 + 1e-6:
            return _hazard(band, (1 / 3, 2 / 3, None))
        if band.whole and least >= 1 and most <= 3:
            return _hazard(band, (1, 2, 3))
    steps = int(most - least) + 1 if band.whole and most - least < _STEPS else _STEPS
    spread = np.linspace(least, most, steps).tolist() if most > least else [least]
    return _ramp(band, list(zip(spread, colours("viridis", len(spread)), strict=True)))


def _hazard(band: Band, ends: tuple[float | None, ...]) -> Style:
    labels = [Localized(id=text(f"raster.hazard.{name}", "id"), en=text(f"raster.hazard.{name}", "en"))
              for name in _LEVELS]  # fmt: skip
    rules = zip(ends, _TRAFFIC, labels, strict=True)
    return _classes(band, [StyleClass(up_to=end, color=colour, label=label) for end, colour, label in rules])


def _classes(band: Band, classes: list[StyleClass]) -> Style:
    bounds = [one.up_to for one in classes if one.up_to is not None]
    palette = ((255, 255, 255), *(rgb(one.color) for one in classes))
    lows = [None, *bounds]
    entries = [
        Entry(low, one.up_to, one.color.lower(), one.label) for low, one in zip(lows, classes, strict=False)
    ]
    return Style(band, "classes", palette, tuple(bounds), tuple(entries))


def _ramp(band: Band, stops: list[tuple[float, str]]) -> Style:
    entries = tuple(Entry(value, value, colour.lower(), Localized()) for value, colour in stops)
    return Style(band, "ramp", _shades(tuple(stops)), (stops[0][0], stops[-1][0]), entries)


@lru_cache(maxsize=256)
def _shades(stops: tuple[tuple[float, str], ...]) -> tuple[Rgb, ...]:
    """Return the palette of a ramp; made once, as every tile asks for it."""
    low, high = stops[0][0], stops[-1][0]
    at = np.linspace(low, high, _SHADES) if high > low else np.full(_SHADES, low)
    values, fixed = [value for value, _ in stops], np.array([rgb(colour) for _, colour in stops])
    mixed = [np.rint(np.interp(at, values, fixed[:, channel])).astype(int) for channel in range(3)]
    return ((255, 255, 255), *((int(r), int(g), int(b)) for r, g, b in zip(*mixed, strict=True)))
