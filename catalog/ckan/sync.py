"""`satudata ckan sync`: what is in our catalog and what CKAN holds are compared, and CKAN is changed.

Nothing is queued and nothing remembered beside CKAN itself: each package carries the hash of what we
sent. So a second run writes nothing, a run that was cut short is finished by the next, a CKAN that was
restored from an old backup is brought forward, and a CKAN that is down costs nothing but this run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import batched
from typing import Any, Protocol

from catalog.ckan.client import Register
from catalog.ckan.names import organisation_name, package_name
from catalog.ckan.package import HASH, ID, Package, extra, package_of
from catalog.datasets import Dataset
from catalog.errors import (
    AuthSourceError,
    ConfigError,
    NotFoundError,
    RecordError,
    SatuDataError,
    SourceError,
    TransientSourceError,
)
from catalog.model import ItemError
from catalog.settings import Settings
from catalog.store import Catalog

log = logging.getLogger(__name__)
_STOPPING = (TransientSourceError, AuthSourceError)
_GIVE_UP = 3
"""So many of these in a row, and CKAN counts as down, or the key as refused."""


class SyncProgress(Protocol):
    """Where a person sees how far the sync is (the harvesters' `Progress` fits)."""

    def phase(self, name: str) -> None:
        """Tell that a phase began."""
        ...

    def layer(self, id: str, expected: int | None) -> None:
        """Tell what is counted, and how many there are."""
        ...

    def advance(self, n: int) -> None:
        """Tell that `n` more are done."""
        ...


@dataclass(slots=True)
class SyncReport:
    """What a sync did. `withheld` are internal datasets, never sent; `stopped` why it ended early."""

    url: str
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    withheld: int = 0
    organisations: int = 0
    errors: list[ItemError] = field(default_factory=list)
    stopped: str = ""

    @property
    def writes(self) -> int:
        """How often CKAN was changed."""
        return self.created + self.updated + self.deleted + self.organisations


def sync(
    settings: Settings,
    catalog: Catalog,
    *,
    progress: SyncProgress | None = None,
    only: Collection[str] | None = None,
    register: Register | None = None,
) -> SyncReport:
    """Bring CKAN into step with the catalog (with the datasets `only`, when given).

    Raises ConfigError when no CKAN or no `server.url` is configured, TransientSourceError when CKAN
    can not be reached. What CKAN refuses of a single dataset is an item error of the report; when it
    goes away or refuses the key on the way, `stopped` says so.
    """
    if settings.ckan is None:
        raise ConfigError("no CKAN is configured", where="satudata.yml: ckan")
    if not settings.server.url:
        raise ConfigError(
            "CKAN needs the server's public address", where="satudata.yml: server.url",
            hint="Set server.url, for example https://geo.kemensos.go.id",
        )  # fmt: skip
    owned = register or Register(settings.ckan)
    try:
        return _Sync(owned, catalog, settings.server.url.rstrip("/"), settings.ckan.batch, progress).run(only)
    finally:
        if register is None:
            owned.close()


class _Sync:
    def __init__(
        self, register: Register, catalog: Catalog, base: str, batch: int, progress: SyncProgress | None
    ) -> None:
        self._ckan, self._catalog, self._base, self._batch = register, catalog, base, batch
        self._progress = progress
        self._report = SyncReport(register.url)
        self._organisations: set[str] = set()
        self._failures = 0

    def run(self, only: Collection[str] | None) -> SyncReport:
        self._ckan.call("status_show")
        self._organisations = self._list_organisations()
        living, gone = self._chosen(only)
        self._tell("register", len(living) + len(gone))
        try:
            for ids in batched(living, self._batch, strict=False):
                self._keep(ids)
            for ids in batched(gone, self._batch, strict=False):
                self._withdraw(ids)
        except _STOPPING as error:
            log.warning("the sync with CKAN stopped, the next goes on: %s", error)
            self._report.stopped = str(error)
        return self._report

    def _chosen(self, only: Collection[str] | None) -> tuple[list[str], list[str]]:
        """Return ids to have in CKAN, and ids that must not be there (withdrawn or internal)."""
        books = self._catalog.datasets
        internal = set(books.ids(access="internal"))
        living = [i for i in books.ids() if i not in internal]
        gone = sorted(internal | books.tombstones().keys())
        self._report.withheld = len(internal if only is None else internal & set(only))
        if only is None:
            return living, gone
        return [i for i in living if i in only], [i for i in gone if i in only]

    def _tell(self, phase: str, expected: int) -> None:
        if self._progress:
            self._progress.phase(phase)
            self._progress.layer("ckan", expected)

    def _advance(self, n: int) -> None:
        if self._progress:
            self._progress.advance(n)

    # -- what should be there -----------------------------------------------------------------

    def _keep(self, ids: Iterable[str]) -> None:
        datasets = self._catalog.datasets.many(ids)
        remote = self._find([package_name(d.id) for d in datasets])
        for dataset in datasets:
            self._guarded(dataset.id, self._register, dataset, remote.get(package_name(dataset.id)))
            self._advance(1)

    def _register(self, dataset: Dataset, there: Package | None) -> None:
        package = package_of(dataset, self._base)
        if there is None:
            self._ensure_organisation(dataset)
            self._create(package, dataset)
        else:
            self._adopt({"state": "active", **there}, package, dataset)

    def _create(self, package: Package, dataset: Dataset) -> None:
        """Create; a name or resource in use may be ours: deleted once, or lost from CKAN's index."""
        try:
            self._ckan.call("package_create", **package)
        except RecordError as refused:
            clash = refused.params.get("fields", {}).keys() & {"name", "resources"}
            there = self._show(package["name"]) if clash else None
            if there is None:
                raise
            self._adopt(there, package, dataset)
        else:
            self._report.created += 1

    def _adopt(self, there: Package, package: Package, dataset: Dataset) -> None:
        if extra(there, ID) != dataset.id:
            raise _taken(dataset.id)
        if there.get("state") == "active" and extra(there, HASH) == extra(package, HASH):
            self._report.unchanged += 1
        else:
            self._ensure_organisation(dataset)
            self._ckan.call("package_update", **{**package, "id": there["id"], "state": "active"})
            self._report.updated += 1

    # -- what should not ----------------------------------------------------------------------

    def _withdraw(self, ids: Iterable[str]) -> None:
        names = {package_name(i): i for i in ids}
        for name, package in self._find(list(names)).items():
            if extra(package, ID) == names[name]:
                self._guarded(names[name], self._delete, name)
        self._advance(len(names))

    def _delete(self, name: str) -> None:
        self._ckan.call("package_delete", id=name)
        self._report.deleted += 1

    # -- CKAN -----------------------------------------------------------------------------------

    def _find(self, names: list[str]) -> dict[str, Package]:
        """Return the active packages of these names, private ones too."""
        if not names:
            return {}
        wanted = " OR ".join(f'"{name}"' for name in names)
        answer = self._ckan.call(
            "package_search", fq=f"name:({wanted})", rows=len(names), include_private=True, sort="id asc"
        )
        return {p["name"]: p for p in answer["results"]}

    def _show(self, name: str) -> Package | None:
        try:
            found: Package = self._ckan.call("package_show", id=name)
        except NotFoundError:
            return None
        return found

    def _list_organisations(self) -> set[str]:
        found: set[str] = set()
        while page := set(self._ckan.call("organization_list", limit=500, offset=len(found))) - found:
            found |= page
        return found

    def _ensure_organisation(self, dataset: Dataset) -> None:
        """Make the organisation of a produsen data, or bring a deleted one back."""
        title = dataset.record.produsen_data
        name = organisation_name(title)
        if name in self._organisations:
            return
        try:
            self._ckan.call("organization_create", name=name, title=title)
        except RecordError as refused:
            if "name" not in refused.params.get("fields", {}):
                raise
            there: dict[str, Any] = self._ckan.call("organization_show", id=name)
            if there.get("state") != "active":
                self._ckan.call("organization_patch", id=name, state="active")
        self._organisations.add(name)
        self._report.organisations += 1

    def _guarded[**P](
        self, dataset_id: str, act: Callable[P, None], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Do one dataset; what CKAN says against it is an item error and the others go on."""
        try:
            act(*args, **kwargs)
        except (RecordError, NotFoundError, SourceError) as error:
            self._note(dataset_id, error)
            self._failures = self._failures + 1 if isinstance(error, _STOPPING) else 0
            if self._failures >= _GIVE_UP:
                raise
        else:
            self._failures = 0

    def _note(self, dataset_id: str, error: SatuDataError) -> None:
        self._report.errors.append(
            ItemError(error.code, error.detail or str(error), dataset_id, self._ckan.url)
        )


def _taken(dataset_id: str) -> RecordError:
    return RecordError(
        "CKAN has a package of this name that is not ours; it was left alone", where=dataset_id
    )
