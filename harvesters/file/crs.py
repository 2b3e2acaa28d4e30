"""The CRS of a file: its own when it has one, else the configured one, else degrees when it looks so."""

from __future__ import annotations

from dataclasses import dataclass

import pyproj
from pyproj.exceptions import CRSError

from catalog.errors import ConfigError, ProtocolError

type Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class FileCrs:
    """`code` is what we store (`EPSG:32748`); `source` is set when coordinates must be transformed to it."""

    code: str
    source: pyproj.CRS | None = None
    note: str = ""


def decide(wkt: str, configured: str | None, bounds: Bounds | None, where: str) -> FileCrs:
    """Decide the stored CRS of a layer that declares `wkt` (may be empty) and lies in `bounds`.

    Raises ProtocolError when nothing tells the CRS and coordinates are not degrees; ConfigError for an
    unknown configured CRS.
    """
    if wkt:
        return _declared(wkt, configured, where)
    if configured:
        return FileCrs(authority(configured, where))
    if bounds is None or (
        abs(bounds[0]) <= 180 and abs(bounds[2]) <= 180 and max(map(abs, bounds[1::2])) <= 90
    ):
        return FileCrs(
            "EPSG:4326", note="the file names no CRS; its coordinates are degrees: EPSG:4326 taken"
        )
    raise ProtocolError(
        "the file names no CRS and its coordinates are not degrees",
        where=where,
        hint="set `crs` of the layer",
    )


def _declared(wkt: str, configured: str | None, where: str) -> FileCrs:
    try:
        crs = pyproj.CRS.from_user_input(wkt)
    except CRSError as error:
        if configured:
            note = f"the file's CRS can not be read ({error}); {configured} of the configuration taken"
            return FileCrs(authority(configured, where), note=note)
        raise ProtocolError(f"the CRS can not be read: {error}", where=where) from error
    found = crs.to_2d().to_authority(auth_name="EPSG", min_confidence=70)
    own = f"{found[0]}:{found[1]}" if found else ""
    if configured and own != (wanted := authority(configured, where)):
        return FileCrs(wanted, crs, f"transformed from {own or crs.name} to the configured {wanted}")
    if own:
        return FileCrs(own)
    return FileCrs("EPSG:4326", crs, f"the CRS {crs.name!r} has no EPSG code: transformed to EPSG:4326")


def authority(text: str, where: str) -> str:
    """Return `EPSG:n` or `OGC:CRS84` of a configured CRS; ConfigError when there is none such."""
    try:
        found = pyproj.CRS.from_user_input(text).to_authority()
    except CRSError as error:
        raise ConfigError(f"crs {text!r}: {error}", where=where, hint="write it as EPSG:4326") from error
    if found is None:
        raise ConfigError(f"crs {text!r} has no authority code", where=where, hint="write it as EPSG:4326")
    return f"{found[0]}:{found[1]}"
