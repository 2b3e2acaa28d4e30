"""The raster that an option of `satudata analyse` names: a file, or the current version of a dataset."""

from __future__ import annotations

from pathlib import Path

from catalog.errors import NotFoundError
from cli.app import App
from layers.raster import open_raster


def raster_of(app: App, source: str) -> Path:
    """Return the file; NotFoundError when there is neither such a file nor such a raster dataset."""
    if Path(source).is_file():
        return Path(source)
    info = app.catalog.versions.current(source)
    if info is None or info.kind != "raster":
        raise NotFoundError(source, where="raster")
    return open_raster(info, app.settings.data_dir / "layers")
