"""Looks for planted personal data everywhere a deployment writes, says or shows something.

The persons are invented and impossible: born on 31 February, in a kecamatan 99 that no kabupaten has.
"""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from catalog.ckan.package import package_of
from catalog.metadata import to_dcat, to_iso19139
from catalog.runs import Run
from catalog.search import SearchQuery
from catalog.sources import SourceConfig
from layers.contract import Query
from layers.files import LayerFiles
from tests.harvesters.support import World

NIK = "3279997102870002"
KK = "3279993002150003"
PHONE = "084012345678"
NAMES = (
    "Siti Contohwati", "Budi Contohan", "Asep Contohadi", "Dewi Contohsari", "Agus Contohman", "Rina Contohti",
)  # fmt: skip
ADDRESS = "Kp. Contohrejo RT 001/RW 002"
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


def persons(count: int = 6) -> list[dict[str, Any]]:
    """Rows about people under headers that say nothing, with a harmless column among them."""
    return [
        {
            "kode": f"32.03.01.10{n:02d}", "x1": NIK[:-1] + str(n), "x2": KK[:-1] + str(n), "x3": NAMES[n % 6],
            "x4": PHONE[:-1] + str(n), "x5": ADDRESS.replace("001", f"00{n}"),
        }
        for n in range(count)
    ]  # fmt: skip


KINDS = {"x1": "nik", "x2": "nik", "x3": "person-name", "x4": "phone", "x5": "address"}
"""What the guard must say of the columns of `persons`."""
PLANTED = (NIK[:-1], KK[:-1], "Contohwati", PHONE[:-1], "Contohrejo")


def plain(text: str) -> str:
    """Return a text with digits unhidden: full-width, separated, escaped."""
    text = unicodedata.normalize("NFKC", text)
    return text + "\n" + re.sub(r"(?<=\d)[ .\-/_\u200b]{1,3}(?=\d)", "", text)


class Watched(World):
    """A deployment whose every corner can be searched."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        folder.mkdir()
        super().__init__(folder, retries=0, connect_timeout_seconds=2, timeout_seconds=20)
        self.caplog = caplog

    def take(self, type_: str, url: str, *layers: dict[str, Any], **more: Any) -> Run:
        """Harvest a source of a type."""
        source = {"id": "sumber", "type": type_, "url": url, "produsen_data": "Dinas", "layers": list(layers)}
        return self.harvest(SourceConfig.model_validate(source | more))

    def guards(self, run: Run) -> dict[str, set[str]]:
        """Return what the privacy guard said: column -> kinds."""
        found: dict[str, set[str]] = {}
        for facts in run.details["datasets"].values():
            for guard in facts.get("guards", []):
                if guard["code"] == "personal":
                    found.setdefault(guard["params"]["field"], set()).add(guard["params"]["kind"])
        return found

    def layer(self, run: Run) -> str:
        """Return the id of the one layer of a run."""
        (name,) = run.details["datasets"]
        return str(name)

    def everything(self) -> dict[str, str]:
        """Return every text that can be read, by where it stands; versions that wait are not shown."""
        places = {"log": self.caplog.text, "notice": repr(self.told), **self._database(), **self._files()}
        for dataset in self.catalog.datasets.all():
            record, name = dataset.record, dataset.id
            places[f"DCAT {name}"] = json.dumps(to_dcat(name, record, url="http://x/"), ensure_ascii=False)
            iso = to_iso19139(name, record, modified=BEFORE)
            places[f"ISO {name}"] = (
                iso if isinstance(iso, str) else etree.tostring(etree.fromstring(iso), encoding=str)
            )
            places[f"CKAN {name}"] = json.dumps(
                package_of(dataset, "http://x"), ensure_ascii=False, default=str
            )
            places[f"items {name}"] = self._published(name)
        return places

    def _database(self) -> dict[str, str]:
        with closing(sqlite3.connect(self.settings.data_dir / "catalog.sqlite")) as database:
            tables = [n for (n,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")]
            return {f"table {t}": repr(database.execute(f'SELECT * FROM "{t}"').fetchall()) for t in tables}

    def _files(self) -> dict[str, str]:
        waiting = set()
        root = self.settings.data_dir / "layers"
        for folder in root.iterdir() if root.is_dir() else ():
            for entry in self.catalog.versions.list(folder.name):
                if entry.state == "held":
                    files = LayerFiles(root, folder.name)
                    waiting |= {*files.all(entry.info.version), files.raster(entry.info.version)}
        return {
            f"file {path.relative_to(self.folder)}": f"{path}\n{path.read_bytes().decode('utf-8', 'replace')}"
            for path in self.settings.data_dir.rglob("*")
            if path.is_file() and path not in waiting and "catalog.sqlite" not in path.name
        }

    def _published(self, name: str) -> str:
        info = self.live(name)
        if info is None or info.kind == "raster":
            return repr(info)
        page = self.store.reader(info).page(Query(limit=10_000))
        return repr(info) + b"\n".join(page.features).decode()

    def nowhere(self, *planted: str) -> None:
        """Fail when one of the planted texts can be read anywhere."""
        for place, text in self.everything().items():
            shown = plain(text)
            for secret in planted or PLANTED:
                assert secret not in shown, f"planted data stands in: {place}"
        for secret in planted or PLANTED:
            assert self.catalog.datasets.search(SearchQuery(q=secret)).total == 0
