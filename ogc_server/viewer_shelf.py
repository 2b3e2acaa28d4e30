"""Where the map's first pictures are kept: in this process, and in the data folder for all others.

A picture (`viewer_picture`) is made once for a set of layer versions, in the background, by one process
under a lock on a file; it is written beside and renamed into place, so that a reader never meets half of
one. Every worker has it from its first answer, also after a restart.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from catalog.datasets import Dataset
from catalog.model import BBox, VersionInfo
from layers.tiles.request import TileBusyError
from ogc_server.tiles_desk import TileDesk
from ogc_server.viewer_picture import Frame, Picture, draw, read

LOGGER = logging.getLogger(__name__)
REVISION = 3
"""Part of a picture's name: raise it when the same layers are drawn differently."""
_GRID = "WebMercatorQuad"
_KEPT, _KEPT_FILES = 4, 16

type Basemap = Sequence[tuple[Dataset, VersionInfo]]


@dataclass(slots=True)
class _Held:
    """What this process knows of a basemap's picture: made of which archives, and if that still goes on."""

    picture: Picture | None
    tags: tuple[str, ...] | None
    making: bool


class Pictures:
    """The pictures by basemap. Safe for threads and processes."""

    def __init__(self, desk: TileDesk, root: Path) -> None:
        """`root` is the folder in which they are kept; it is made when there is one to keep."""
        self._desk = desk
        self._root = root
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, layers: Basemap, box: BBox) -> Picture | None:
        """Return the picture if it is made; else have it made for who asks later.

        When a layer's tiles were made anew, the picture of the old ones serves until there is another.
        """
        if not layers:
            return None
        name = _name(layers)
        tags = self._tags(layers)
        with self._lock:
            held = self._known(name)
            if held.tags == tags or held.making:
                return held.picture
            held.making = True
        threading.Thread(
            target=self._renew, args=(name, held, tags, layers, box), name="picture", daemon=True
        ).start()
        return held.picture

    def _tags(self, layers: Basemap) -> tuple[str, ...]:
        found = (self._desk.archive(info.layer_id, info.version, _GRID) for _, info in layers)
        return tuple(archive.tag if archive else "" for archive in found)

    def _known(self, name: str) -> _Held:
        """Return what is held, else what the folder has."""
        if name in self._held:
            self._held.move_to_end(name)
        else:
            picture, tags = self._load(name) or (None, None)
            self._held[name] = _Held(picture, tags, making=False)
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)
        return self._held[name]

    def _renew(self, name: str, held: _Held, tags: tuple[str, ...], layers: Basemap, box: BBox) -> None:
        found: tuple[Picture | None, tuple[str, ...]] = (held.picture, tags)
        try:
            with self._alone(name):
                kept = self._load(name)
                if kept is not None and kept[1] == tags:  # another process was first
                    found = kept
                else:
                    frame = Frame.of(box)
                    found = (draw(read(self._desk, layers, frame), frame), tags)
                    self._keep(name, *found)
        except TileBusyError:
            LOGGER.info("the map's first picture waits for the archive of tiles")
        except Exception as error:  # tried again when the layer has another archive or version
            LOGGER.error("the map's first picture could not be made: %s", type(error).__name__)
        with self._lock:
            held.picture, held.tags = found
            held.making = False

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """One process at a time makes a picture; where nothing can be written each makes its own."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            file = (self._root / f"{name}.lock").open("w")
        except OSError:
            yield
            return
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _load(self, name: str) -> tuple[Picture | None, tuple[str, ...]] | None:
        """Return a picture of the folder and the archives it was made of; None when there is none."""
        try:
            said = json.loads((self._root / f"{name}.json").read_bytes())
            picture = Picture(**said["picture"]) if said["picture"] else None
            return picture, tuple(said["tags"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            LOGGER.warning("a first picture of the map can not be read: %s", type(error).__name__)
            return None

    def _keep(self, name: str, picture: Picture | None, tags: tuple[str, ...]) -> None:
        """Write a picture for all processes; a disk that is full or closed is said, and stops nothing."""
        said = {"picture": asdict(picture) if picture else None, "tags": tags}
        try:
            with NamedTemporaryFile("w", dir=self._root, suffix=".part", delete=False) as file:
                json.dump(said, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(file.name, self._root / f"{name}.json")
            self._prune()
        except OSError as error:
            LOGGER.warning("the map's first picture could not be kept: %s", type(error).__name__)

    def _prune(self) -> None:
        """Drop the oldest pictures, and what a process that was killed has left."""
        by_age = sorted(self._root.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for suffix in (".json", ".lock", ".part"):
            for path in [one for one in by_age if one.suffix == suffix][_KEPT_FILES:]:
                with suppress(OSError):
                    path.unlink()


def _name(layers: Basemap) -> str:
    """Name a picture by what it shows: the versions, and how they are drawn."""
    versions = [(info.layer_id, info.version, info.checksum) for _, info in layers]
    return sha256(json.dumps([REVISION, versions]).encode()).hexdigest()[:24]
