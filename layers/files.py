"""Where the embedded store keeps its files, below `<data>/layers/<layer>/`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from catalog.errors import PublishError

_LAYER = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*", re.ASCII)
_STAGE = ".stage-"


def check_layer_id(layer_id: str) -> str:
    """Return the id if it can be a folder and a table name; PublishError otherwise."""
    if len(layer_id) > 120 or not _LAYER.fullmatch(layer_id):
        raise PublishError(f"layer id {layer_id!r} must be small letters, digits and single - _ . between")
    return layer_id


@dataclass(frozen=True, slots=True)
class LayerFiles:
    """The paths of one layer."""

    root: Path
    layer_id: str

    @property
    def folder(self) -> Path:
        """Return the layer's folder."""
        return self.root / check_layer_id(self.layer_id)

    def gpkg(self, version: int) -> Path:
        """Return the GeoPackage of a version; it exists if and only if the version does."""
        return self.folder / f"{version}.gpkg"

    def texts(self, version: int) -> Path:
        """Return the GeoJSON texts of a version."""
        return self.folder / f"{version}.json"

    def index(self, version: int) -> Path:
        """Return the index of the texts."""
        return self.folder / f"{version}.idx"

    def raster(self, version: int) -> Path:
        """Return the GeoTIFF of a raster version."""
        return self.folder / f"{version}.tif"

    def all(self, version: int) -> tuple[Path, Path, Path]:
        """Return a version's files in the order in which they appear."""
        return (self.texts(version), self.index(version), self.gpkg(version))

    def stage(self, stage: str) -> Path:
        """Return the staging file of a stage."""
        name = quote(stage, safe="")
        if not stage or len(name) > 180:
            raise PublishError(f"stage name {stage[:60]!r} must have 1 to 180 characters")
        return self.folder / f"{_STAGE}{name}.db"

    def stages(self) -> list[str]:
        """Return the stages that have a file."""
        found = self.folder.glob(f"{_STAGE}*.db")
        return sorted(unquote(p.name.removeprefix(_STAGE).removesuffix(".db")) for p in found)

    def versions(self, *suffixes: str) -> list[int]:
        """Return the version numbers that have a file with such a suffix, oldest first."""
        return sorted({n for suffix in suffixes or (".gpkg", ".tif") for n in self._numbers(suffix)})

    def _numbers(self, suffix: str) -> list[int]:
        found = self.folder.glob(f"*{suffix}") if self.folder.is_dir() else []
        return sorted(
            int(p.name.removesuffix(suffix)) for p in found if p.name.removesuffix(suffix).isdecimal()
        )

    def leftovers(self) -> list[Path]:
        """Return files that belong to no version: what an interrupted finish left behind."""
        if not self.folder.is_dir():
            return []
        whole = {str(n) for n in self._numbers(".gpkg")}
        found = [
            p for suffix in (".json", ".idx") for p in self.folder.glob(f"*{suffix}") if p.stem not in whole
        ]
        return sorted([*found, *self.folder.glob("*.part"), *self.folder.glob("*.tif.vrt")])
