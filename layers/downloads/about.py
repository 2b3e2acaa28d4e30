"""What a file says of itself: title, producer, licence, version, checksum; and the full ISO 19139 record."""

from __future__ import annotations

import json
from dataclasses import dataclass

from catalog.datasets import Dataset
from catalog.metadata.write_iso import to_iso19139
from catalog.model import VersionInfo

SYNTHETIC = "DATA SINTETIS / SYNTHETIC DATA"


@dataclass(frozen=True, slots=True)
class About:
    """Texts that go into every file; `iso` is UTF-8 XML. All are public facts of the dataset."""

    dataset: str
    version: int
    title: str
    description: str
    texts: dict[str, str]
    iso: bytes

    def plain(self) -> str:
        """Return one paragraph for formats that have a description and nothing else."""
        said = [self.description, *(f"{name}: {value}" for name, value in self.texts.items())]
        return " | ".join(part for part in said if part)

    def json(self) -> str:
        """Return all texts as one JSON object."""
        said = {"title": self.title, "description": self.description, **self.texts}
        return json.dumps(said, ensure_ascii=False)


def about(dataset: Dataset, info: VersionInfo, part: str = "") -> About:
    """Return what the files of a version say; `part` names what was chosen of it."""
    record = dataset.record
    title = record.title.get("id") or dataset.id
    if record.synthetic:
        title = f"{title} [{SYNTHETIC}]"
    texts = {
        "dataset": dataset.id,
        "version": str(info.version),
        "part": part,
        "produsen_data": record.produsen_data,
        "walidata": record.walidata,
        "license": record.licence,
        "title_en": record.title.en,
        "checksum": info.checksum,
        "created": info.created.isoformat(),
        "synthetic": "true" if record.synthetic else "",
    }
    return About(
        dataset.id, info.version, title, record.description.get("id"),
        {name: value for name, value in texts.items() if value},
        to_iso19139(str(dataset.uuid), record, modified=dataset.updated),
    )  # fmt: skip
