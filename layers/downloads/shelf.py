"""Where files to take away lie: `<data>/downloads/<layer>/<version>/`, each with what is known of it.

A file is made beside, hashed, and renamed into place; a lock per file keeps two processes from making
it twice. Whole layers are made ready in the background; parts are made when asked for and kept as long
as there is room.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from catalog.model import VersionInfo
from layers.downloads.extract import Extract
from layers.downloads.formats import Format
from layers.downloads.write import Piece, write
from layers.files import check_layer_id

REVISION = 2
"""Part of the folder's name: raise it when the same data is written differently."""
KITS = "_kit"
"""The folder of field kits; no layer is called so."""


@dataclass(frozen=True, slots=True)
class Download:
    """One ready file: its name for people, bytes, SHA-256 in hex and number of features."""

    name: str
    format: str
    size: int
    sha256: str
    count: int
    stamp: str


class Shelf:
    """The files of all layers below one folder. Safe for threads and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, info: VersionInfo) -> Path:
        """Return where the files of a version lie."""
        return self.root / check_layer_id(info.layer_id) / f"v{info.version}-r{REVISION}"

    def path(self, info: VersionInfo, name: str) -> Path:
        """Return the path of a file whose name `file_name` made."""
        return self.folder(info) / name

    def find(self, info: VersionInfo, name: str) -> Download | None:
        """Return a ready file, None when it is not there (yet)."""
        return found_in(self.folder(info), name)

    def make(self, info: VersionInfo, kind: Format, part: Extract, piece: Piece) -> Download:
        """Return the file, made now unless it is there with the same words about it.

        Raises PublishError when the format can not hold the layer; nothing is left behind then.
        """
        name = file_name(info, kind, part)
        return keep(
            self.folder(info), name, kind.name, stamp_of(piece), lambda path: write(kind, piece, path)
        )

    def prune(self, layer_id: str, keep: Iterable[int]) -> list[int]:
        """Delete the files of all versions but some; return the versions that went."""
        kept, gone = {f"v{number}-r{REVISION}" for number in keep}, []
        folder = self.root / check_layer_id(layer_id)
        for one in folder.iterdir() if folder.is_dir() else ():
            if one.is_dir() and one.name not in kept:
                shutil.rmtree(one, ignore_errors=True)
                gone.append(int(one.name.removeprefix("v").split("-")[0]))
        return sorted(gone)

    def only(self, layers: Collection[str]) -> list[str]:
        """Delete the files of all layers but these, and the kits, which may hold them; return whose went."""
        gone = [one for one in self.root.glob("*/v*-r*") if one.is_dir() and one.parent.name not in layers]
        for one in gone:
            shutil.rmtree(one, ignore_errors=True)
        for path in self.root.glob(f"{KITS}/*/*") if gone else ():
            if path.is_file() and not path.name.startswith("."):
                path.unlink(missing_ok=True)
        return sorted({one.parent.name for one in gone})

    def trim(self, most_bytes: int) -> int:
        """Delete the parts that were used least lately until all parts fit; return how many went."""
        parts = sorted(self._parts(), key=lambda path: path.stat().st_mtime, reverse=True)
        room, gone = most_bytes, 0
        for path in parts:
            room -= path.stat().st_size
            if room < 0:
                _facts(path.parent, path.name).unlink(missing_ok=True)
                path.unlink(missing_ok=True)
                gone += 1
        return gone

    def _parts(self) -> Iterator[Path]:
        for facts in self.root.glob("*/v*/*.facts.json"):
            path = facts.with_name(facts.name.removesuffix(".facts.json"))
            whole = f"{path.parent.parent.name}-{path.parent.name.rpartition('-r')[0]}."
            if not path.name.startswith(whole) and path.is_file():
                yield path


def found_in(folder: Path, name: str) -> Download | None:
    """Return a ready file of a folder, None when it is not there (yet)."""
    try:
        return Download(**json.loads(_facts(folder, name).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def keep(folder: Path, name: str, kind: str, stamp: str, writer: Callable[[Path], int]) -> Download:
    """Return the file `name` of a folder; `writer` makes it (and tells the count) unless it is there.

    A file with another `stamp` is made again. Nothing is left behind when the writer fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f".{name}.lock"):
        known = found_in(folder, name)
        if known is not None and known.stamp == stamp and (folder / name).is_file():
            with suppress(OSError):  # the time of use decides what goes first when room is short
                os.utime(folder / name)
            return known
        with TemporaryDirectory(dir=folder, prefix=".making-") as scratch:
            made = Path(scratch) / name
            count = writer(made)
            found = Download(name, kind, made.stat().st_size, _sha256(made), count, stamp)
            facts = Path(scratch) / "facts"
            facts.write_text(json.dumps(asdict(found)), "utf-8")
            os.replace(made, folder / name)
            os.replace(facts, _facts(folder, name))
        return found


def _facts(folder: Path, name: str) -> Path:
    return folder / f"{name}.facts.json"


def file_name(info: VersionInfo, kind: Format, part: Extract) -> str:
    """Return the name under which people save it: layer, version, part and suffix."""
    return f"{info.layer_id}-v{info.version}{part.label()}.{kind.suffix}"


def stamp_of(piece: Piece) -> str:
    """Return a digest of the words that stand in the file: they may change while the data does not."""
    said = piece.about
    return hashlib.sha256(said.iso + said.json().encode()).hexdigest()[:16]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
