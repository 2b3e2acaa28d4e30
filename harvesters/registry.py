"""Which class harvests which type of source: the built-in ones, and those of entry points.

Modules are imported when first used, so a broken or absent optional part harms only its own type.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from pydantic import ValidationError

from catalog.errors import ConfigError
from catalog.sources import SourceConfig
from harvesters.contract import Harvester

GROUP = "satudata.harvesters"
BUILT_IN = {
    "arcgis": "harvesters.arcgis.harvester:ArcgisHarvester",
    "wfs": "harvesters.wfs.harvester:WfsHarvester",
    "csw": "harvesters.csw.harvester:CswHarvester",
    "wms": "harvesters.wms.harvester:WmsHarvester",
    "wmts": "harvesters.wms.harvester:WmtsHarvester",
    "ckan": "harvesters.ckan.harvester:CkanHarvester",
    "file": "harvesters.file.harvester:FileHarvester",
    "postgis": "harvesters.postgis.harvester:PostgisHarvester",
    "raster": "harvesters.raster.harvester:RasterHarvester",
    "palapa": "harvesters.palapa:PalapaHarvester",
    "bmkg": "harvesters.bmkg.harvester:BmkgHarvester",
    "cap": "harvesters.bmkg.harvester:CapHarvester",
}


def _outside() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def types() -> list[str]:
    """Return every known type: ours first, then third parties'."""
    return [*BUILT_IN, *sorted(set(_outside()) - set(BUILT_IN))]


def harvester_class(type_: str) -> type[Harvester]:
    """Return the class for a source type; ConfigError with the nearest type when there is none."""
    try:
        if type_ in BUILT_IN:
            module, _, name = BUILT_IN[type_].partition(":")
            found = getattr(import_module(module), name)
        elif type_ in (outside := _outside()):
            found = outside[type_].load()
        else:
            raise ConfigError(f"unknown source type {type_!r}", where="type", hint=_nearest(type_, types()))
    except (ImportError, AttributeError) as exc:
        raise ConfigError(f"type {type_!r} can not be loaded: {exc}", where="type") from exc
    if not (isinstance(found, type) and issubclass(found, Harvester)):
        raise ConfigError(f"{type_!r} does not name a Harvester class", where="type")
    return found


def check(source: SourceConfig) -> list[ConfigError]:
    """Check what only the harvester knows: its type and `options`. An empty list means all is well."""
    try:
        model = harvester_class(source.type).options_model
    except ConfigError as error:
        return [ConfigError(error.detail, where=f"{source.id}: type", hint=error.hint())]
    try:
        model.model_validate(source.options)
    except ValidationError as exc:
        known = [field.alias or name for name, field in model.model_fields.items()]
        return [_problem(source.id, dict(e), known) for e in exc.errors()]
    return []


def _problem(source_id: str, error: dict[str, object], known: list[str]) -> ConfigError:
    place = [str(part) for part in error["loc"]] if isinstance(error["loc"], tuple) else []
    where = ".".join([f"{source_id}: options", *place])
    if error["type"] == "extra_forbidden" and len(place) == 1:
        return ConfigError(f"unknown option {place[0]!r}", where=where, hint=_nearest(place[0], known))
    return ConfigError(str(error["msg"]), where=where)


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    listed = ", ".join(sorted(known)) or "none"
    return f"did you mean {close[0]!r}? (known: {listed})" if close else f"known: {listed}"
