"""What a source's file says of a layer beyond its data: `tiles`, `style`, `styles`.

Read from the configuration when asked for, and again when a file changes; a file that is broken just
now leaves what was known before.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import ValidationError

from catalog.config import load_source
from catalog.errors import ConfigError, SatuDataError
from catalog.model import VersionInfo
from catalog.sources import SourceConfig
from catalog.store import Catalog
from layers.style.rule import columns_of, rules_of
from layers.tiles.plan import TileOptions, TilePlan, make_plan

LOGGER = logging.getLogger(__name__)
_LOOK_EVERY = 2.0
"""Seconds between looks at the files."""


class LayerOptions:
    """What is said of maps, by source and layer. Safe for threads."""

    def __init__(self, config_dir: Path) -> None:
        self._folder = config_dir / "sources"
        self._known: dict[Path, tuple[int, SourceConfig]] = {}
        self._looked = -_LOOK_EVERY
        self._lock = Lock()

    def of(self, source_id: str, remote_id: str, layer_id: str) -> Mapping[str, Any]:
        """Return `tiles`, `style` and `styles` of a layer; empty when its source is not configured here."""
        with self._lock:
            self._refresh()
            sources = [source for _, source in self._known.values() if source.id == source_id]
        for source in sources:
            for fits in (lambda one: one.id == layer_id, lambda one: one.remote in (remote_id, "*")):
                found = next((layer for layer in source.layers if fits(layer)), None)
                if found is not None:
                    return {"tiles": found.tiles, "style": found.style, "styles": found.styles}
        return {}

    def tiles(self, source_id: str, remote_id: str, layer_id: str) -> TileOptions:
        """Return `tiles`; ConfigError that names the layer when it is not understood."""
        said = self.of(source_id, remote_id, layer_id).get("tiles") or {}
        try:
            return TileOptions.model_validate(said)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(["tiles", *map(str, first["loc"])])
            raise ConfigError(f"`{place}`: {first['msg']}", where=f"{source_id}: {layer_id}") from error

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_EVERY:
            return
        self._looked = now
        paths = sorted(p for p in self._folder.glob("*") if p.suffix in {".yml", ".yaml"})
        for gone in self._known.keys() - set(paths):
            del self._known[gone]
        for path in paths:
            try:
                stamp = path.stat().st_mtime_ns
                if path not in self._known or self._known[path][0] != stamp:
                    self._known[path] = (stamp, load_source(path))
            except (SatuDataError, OSError) as error:
                LOGGER.warning("%s is not taken in: %s", path.name, error)


def planned(
    catalog: Catalog, options: LayerOptions, layer_id: str, *, postgis: bool
) -> tuple[VersionInfo, TilePlan] | None:
    """Return a layer's current version and what its tiles hold; None when it is to have no archive.

    `on_request` counts where `postgis` makes the tiles; an embedded store always has archives.
    """
    dataset = catalog.datasets.get(layer_id)
    info = dataset.version
    if dataset.kind != "feature" or info is None or info.schema is None or info.schema.geometry_type is None:
        return None
    if info.bbox is None:  # nothing has a place (no earthquake today): there is nothing to cut
        return None
    where = (dataset.source_id, dataset.remote_id, dataset.id)
    asked = options.tiles(*where)
    if asked.on_request and postgis:
        return None
    return info, make_plan(info, asked, columns_of(rules_of(options.of(*where))))
