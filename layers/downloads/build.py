"""Makes the files of all public layers ready; what is ready already is left as it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from catalog.datasets import Dataset
from catalog.errors import NotFoundError, SatuDataError
from catalog.settings import DownloadSettings
from catalog.store import Catalog
from layers.contract import LayerStore
from layers.downloads.about import about
from layers.downloads.extract import WHOLE
from layers.downloads.formats import FORMATS, Format
from layers.downloads.shelf import Download, Shelf
from layers.downloads.write import Piece

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one file: ready, or the reason why not."""

    dataset: str
    format: str
    download: Download | None
    reason: str = ""


class Builder:
    """Builds files for the current versions of vector layers and tables that anybody may see."""

    def __init__(self, catalog: Catalog, store: LayerStore, shelf: Shelf, settings: DownloadSettings) -> None:
        self._catalog, self._store, self._shelf, self._settings = catalog, store, shelf, settings

    def build(
        self, ids: Iterable[str] | None = None, *, tell: Callable[[Made], None] = lambda _: None
    ) -> list[Made]:
        """Make what is missing for the datasets, drop what is of older versions.

        `ids` None: all; then the files of layers that were withdrawn, or are no longer for everybody, go.
        """
        found: list[Made] = []
        for dataset_id in list(ids) if ids is not None else self._catalog.datasets.ids(access="publik"):
            for one in self._dataset(dataset_id):
                tell(one)
                found.append(one)
        if ids is None:
            self._shelf.only(self._catalog.datasets.ids(access="publik"))
        self._shelf.trim(self._settings.parts_megabytes << 20)
        return found

    def _dataset(self, dataset_id: str) -> Iterator[Made]:
        dataset = self._catalog.datasets.get(dataset_id)
        info = dataset.version
        if dataset.record.access != "publik" or info is None or info.schema is None:
            return
        for name in self._settings.formats:
            kind = FORMATS[name]
            if kind.holds(info.schema):
                yield self._make(dataset, kind)
        self._shelf.prune(dataset_id, {info.version, *self._previous(dataset_id, info.version)})

    def _make(self, dataset: Dataset, kind: Format) -> Made:
        info = dataset.version
        if info is None:
            raise NotFoundError("no version", where=dataset.id)
        reader = self._store.reader(info)
        try:
            made = self._shelf.make(info, kind, WHOLE, Piece(reader, None, about(dataset, info)))
        except (SatuDataError, OSError) as error:  # one file that fails must not keep the others away
            LOGGER.warning("download %s of %s: %s", kind.name, dataset.id, error)
            return Made(dataset.id, kind.name, None, str(error))
        return Made(dataset.id, kind.name, made)

    def _previous(self, dataset_id: str, current: int) -> list[int]:
        """Return the version before: those who are in the middle of it may finish."""
        older = [e.info.version for e in self._catalog.versions.list(dataset_id) if e.state == "old"]
        return sorted(number for number in older if number < current)[-1:]
