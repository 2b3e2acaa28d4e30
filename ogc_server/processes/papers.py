"""What a job was asked, for as long as it waits or runs: one file that only our user can read.

It is kept out of the database, whose logs and free pages remember what was deleted.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from catalog.settings import Settings

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Paper:
    """The inputs of a job, and the form its answer was asked in (empty: JSON)."""

    inputs: dict[str, Any]
    form: str = ""


def sealed(value: object, form: str) -> bytes:
    """Return what the catalog keeps of an answer."""
    return orjson.dumps({"form": form, "value": value})


def opened(kept: bytes) -> tuple[str, Any]:
    """Return the form and the answer that `sealed` wrote."""
    found = orjson.loads(kept)
    return found["form"], found["value"]


class Papers:
    """The files of open jobs, below the data folder."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data_dir / "jobs"

    def put(self, job_id: str, paper: Paper) -> None:
        """Keep what a job was asked."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        opened = os.open(self._path(job_id), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "wb") as file:
            file.write(orjson.dumps(paper))

    def get(self, job_id: str) -> Paper | None:
        """Return what a job was asked, or None when it is not there."""
        try:
            return Paper(**orjson.loads(self._path(job_id).read_bytes()))
        except FileNotFoundError:
            return None

    def drop(self, job_id: str) -> None:
        """Throw them away; nothing happens when they are gone already."""
        self._path(job_id).unlink(missing_ok=True)

    def ids(self) -> list[str]:
        """Return the jobs of which there are papers."""
        if not self._folder.is_dir():
            return []
        return [path.stem for path in self._folder.glob("*.json") if _ID.fullmatch(path.stem)]

    def _path(self, job_id: str) -> Path:
        if not _ID.fullmatch(job_id):
            raise ValueError("not the id of a job")
        return self._folder / f"{job_id}.json"
