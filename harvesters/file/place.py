"""Where a file source's `url` points: an http(s) address, a local path, or `data:` the data directory."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from catalog.errors import NotFoundError
from catalog.sources import SourceConfig

DATA = "data:"


def in_data(source: SourceConfig, data_dir: Path) -> SourceConfig:
    """Return the source with a `data:...` address made a path below `data_dir`; others as they are."""
    if not source.url.startswith(DATA):
        return source
    return source.model_copy(update={"url": str(data_dir / source.url.removeprefix(DATA).lstrip("/"))})


def local_path(url: str) -> Path | None:
    """Return the path of a local `url` (None for http); NotFoundError when nothing stands there.

    A `data:` address that nobody has placed yet is below SATUDATA_DATA, else `./data`.
    """
    scheme = urlsplit(url).scheme.lower()
    if scheme in {"http", "https"}:
        return None
    if url.startswith(DATA):
        path = Path(os.environ.get("SATUDATA_DATA", "data")) / url.removeprefix(DATA).lstrip("/")
    elif scheme == "file":
        path = Path(unquote(urlsplit(url).path))
    else:
        path = Path(url)
    if not path.exists():
        raise NotFoundError(f"no file or folder {url}", where=str(path))
    return path
