"""Colours that people with any colour vision tell apart, and that keep their order in grey.

viridis and cividis (matplotlib; cividis: Nunez, Anderton, Renslow 2018), YlGnBu and YlOrRd
(ColorBrewer, Cynthia Brewer, "colorblind safe"), Okabe-Ito for categories (Okabe and Ito 2008).
"""

from __future__ import annotations

from collections.abc import Sequence

_ANCHORS: dict[str, tuple[str, ...]] = {
    "viridis": ("#fde725", "#7ad151", "#22a884", "#2a788e", "#414487", "#440154"),
    "cividis": ("#fee838", "#bcae6c", "#7c7b78", "#414d6b", "#00224e"),
    "ylgnbu": ("#ffffcc", "#a1dab4", "#41b6c4", "#2c7fb8", "#253494"),
    "ylorrd": ("#ffffb2", "#fecc5c", "#fd8d3c", "#f03b20", "#bd0026"),
}
OKABE_ITO = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#7a7a7a")


def colours(palette: str, count: int) -> list[str]:
    """Return `count` colours, light (little) to dark (much); qualitative ones repeat after eight."""
    if palette == "okabe-ito":
        return [OKABE_ITO[i % len(OKABE_ITO)] for i in range(count)]
    anchors = [_parts(one) for one in _ANCHORS[palette]]
    if count == 1:
        return [_ANCHORS[palette][len(anchors) // 2]]
    return [_between(anchors, i * (len(anchors) - 1) / (count - 1)) for i in range(count)]


def rgb(colour: str) -> tuple[int, int, int]:
    """Return red, green, blue of `#rrggbb`."""
    return _parts(colour)


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _between(anchors: Sequence[tuple[int, int, int]], at: float) -> str:
    low = min(int(at), len(anchors) - 2)
    share = at - low
    mixed = (a + (b - a) * share for a, b in zip(anchors[low], anchors[low + 1], strict=True))
    return "#" + "".join(f"{round(part):02x}" for part in mixed)
