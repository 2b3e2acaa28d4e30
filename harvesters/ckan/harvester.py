"""CKAN: packages as records and, where wanted, the data behind their resources.

A layer's `remote` is a package (name or id), `package/resource id` for one resource as data, or `"*"`
for all packages. Without `data: true` resources are links of the record, by reference. A layer's `where`
is a Solr filter (`fq`) on what `"*"` takes. Credentials: `auth: {"header:Authorization": "${KEY}"}`, or
`header:Cookie` for a session.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from catalog.errors import AuthSourceError, IncompleteError, NotFoundError, ProtocolError, SourceError
from catalog.model import DatasetRecord, ItemError, Localized
from catalog.sources import LayerConfig, SourceConfig
from harvesters.ckan.api import CkanClient
from harvesters.ckan.record import instant, link_of, record_of
from harvesters.ckan.resource import Behind, behind, is_candidate
from harvesters.contract import Harvester, Listing, Options, Probe, RemoteDataset
from harvesters.http.client import HttpClient
from harvesters.naming import slug

type Package = dict[str, Any]


class CkanOptions(Options):
    """Options of `type: ckan`."""

    data: bool = Field(default=False, description="Bring the tables and files behind the resources too")
    rows: int = Field(default=500, ge=1, le=1000, description="Packages per page of package_search")
    table_rows: int = Field(default=5000, ge=1, le=32000, description="Rows per page of datastore_search")
    include_private: bool = Field(default=False, description="Also what only our credentials may see")


class CkanHarvester(Harvester):
    """One CKAN site."""

    type = "ckan"
    options_model = CkanOptions

    def __init__(self, source: SourceConfig, http: HttpClient) -> None:
        super().__init__(source, http)
        self._client = CkanClient(source.url, http)

    def probe(self) -> Probe:
        """Ask status_show; some sites close it, then an empty package_search proves the API."""
        try:
            status = self._client.call("status_show")
        except (AuthSourceError, NotFoundError):
            status = {}
        found = self._client.call("package_search", rows=0)
        if not isinstance(status, dict) or not isinstance(found, dict):
            raise ProtocolError("status_show or package_search is not CKAN's", where=self.source.url)
        return Probe(
            title=str(status.get("site_title") or ""),
            version=str(status.get("ckan_version") or ""),
            details={"packages": found.get("count"), "extensions": status.get("extensions") or []},
        )

    def listing(self) -> Listing:
        """List package ids, and `package/resource` where data is wanted; asks twice if it moved."""
        try:
            ids, marks = self._list()
        except IncompleteError:
            ids, marks = self._list()
        stage = hashlib.sha256("\n".join(marks).encode()).hexdigest()[:32]
        return Listing(count=len(ids), ids=tuple(ids), stage=stage)

    def datasets(self) -> Iterator[RemoteDataset | ItemError]:
        """Yield every chosen package and, where wanted, its data; one bad package ends nothing.

        The content of a dataset is at hand until the next dataset is asked for.
        """
        for package, layer in self._chosen():
            if isinstance(package, ItemError):
                yield package
                continue
            for remote_id, resource in self._parts(package, layer):
                try:
                    yield from self._described(remote_id, package, resource, layer)
                except (SourceError, NotFoundError) as exc:
                    yield ItemError(exc.code, exc.detail or str(exc), remote_id, exc.where)

    # -- which packages -----------------------------------------------------------------------

    def _list(self) -> tuple[list[str], list[str]]:
        ids: list[str] = []
        marks: list[str] = []
        for package, layer in self._chosen():
            if isinstance(package, ItemError):
                ids.append(package.remote_id)  # listed, so that the run tells it is missing
                continue
            ids += [remote_id for remote_id, _ in self._parts(package, layer)]
            marks.append(f"{package.get('id')} {package.get('metadata_modified')}")
        return ids, marks

    def _chosen(self) -> Iterator[tuple[Package | ItemError, LayerConfig]]:
        named = [layer for layer in self.source.layers if layer.remote != "*"]
        taken: set[str] = set()
        for layer in named:
            package = self._show(layer.remote.partition("/")[0])
            if not isinstance(package, ItemError):
                if layer.remote.count("/") == 0:
                    taken.add(str(package["id"]))
                yield package, layer
            else:
                yield ItemError(package.code, package.message, layer.remote, package.url), layer
        for star in (layer for layer in self.source.layers if layer.remote == "*"):
            for package in self._search(star.where or ""):
                if isinstance(package, ItemError) or str(package["id"]) not in taken:
                    yield package, star

    def _show(self, name: str) -> Package | ItemError:
        try:
            package = self._client.call("package_show", id=name)
        except NotFoundError as exc:
            return ItemError(exc.code, f"no package {name!r}", name, exc.where)
        except AuthSourceError as exc:
            return ItemError(exc.code, exc.detail, name, exc.where)
        return _usable(package, name)

    def _search(self, fq: str) -> Iterator[Package | ItemError]:
        """Yield all packages in order of id; raise when pages repeat, shrink, or the count moves."""
        seen: set[str] = set()
        start, total = 0, None
        while total is None or start < total:
            answer = self._client.call(
                "package_search", q="*:*", fq=fq or None, sort="id asc", rows=self.options.rows, start=start,
                include_private=self.options.include_private or None,
            )  # fmt: skip
            count, page = self._page(answer)
            if total is not None and count != total:
                raise IncompleteError(f"package count moved from {total} to {count}", where=self.source.url)
            total = count
            fresh = [p for p in page if not isinstance(p, dict) or str(p.get("id")) not in seen]
            if start < total and not fresh:
                what = "repeats an earlier page" if page else "is empty"
                raise IncompleteError(f"page at {start} of {total} {what}", where=self.source.url)
            seen.update(str(p.get("id")) for p in fresh if isinstance(p, dict))
            yield from (_usable(p, f"package {start + i}") for i, p in enumerate(fresh))
            start += len(page)

    def _page(self, answer: Any) -> tuple[int, list[Any]]:
        count, results = (answer.get("count"), answer.get("results")) if isinstance(answer, dict) else (0, 0)
        if not isinstance(count, int) or not isinstance(results, list):
            raise ProtocolError("package_search without `count` or `results`", where=self.source.url)
        return count, results

    # -- one package --------------------------------------------------------------------------

    def _parts(self, package: Package, layer: LayerConfig) -> list[tuple[str, Package | None]]:
        """Return remote id and resource (None: the package itself) of what `layer` wants of it."""
        own = str(package["id"])
        resources = [r for r in package.get("resources") or [] if isinstance(r, dict) and r.get("id")]
        wanted = layer.remote.partition("/")[2] if layer.remote != "*" else ""
        if wanted:
            return [(f"{own}/{wanted}", next((r for r in resources if r["id"] == wanted), {"id": wanted}))]
        parts: list[tuple[str, Package | None]] = [(own, None)]
        if layer.options.get("data", self.options.data):
            parts += [(f"{own}/{r['id']}", r) for r in resources if is_candidate(r)]
        return parts

    def _described(
        self, remote_id: str, package: Package, resource: Package | None, layer: LayerConfig
    ) -> Iterator[RemoteDataset | ItemError]:
        record = self._record(package, layer)
        name = layer.id or _collection(self.source.id, str(package.get("name") or ""), str(package["id"]))
        if resource is None:
            yield RemoteDataset(remote_id, name, "record", record, layer)
            return
        own = layer.id if "/" in layer.remote else None
        collection = own or f"{name}-{slug(str(resource['id']))[:8].rstrip('-')}"
        chosen = _for_data(layer, own=own is not None)
        described = _of_resource(record, resource, self.source.url)
        kept = self.previous(collection, chosen)
        with behind(resource, self._client, chosen, self.options.table_rows, kept) as found:
            if len(found) > 1:
                yield RemoteDataset(remote_id, collection, "record", described, chosen)
            for one in found:
                if one.why:
                    yield ItemError("not-data", one.why, remote_id, severity="warning")
                yield _part(remote_id, collection, described, chosen, one)

    def _record(self, package: Package, layer: LayerConfig) -> DatasetRecord:
        record = record_of(package, self.source.url)
        record.produsen_data = record.produsen_data or self.source.produsen_data
        record.walidata = self.source.walidata
        if self.source.contact.organisation or self.source.contact.email:
            record.contact = self.source.contact
        if record.access == "publik":
            record.access = layer.access
        return record


def _for_data(layer: LayerConfig, *, own: bool) -> LayerConfig:
    """Return the configuration as a resource's: what was said of the package is not said of each."""
    options = {key: value for key, value in layer.options.items() if key != "data"}
    mine: dict[str, Any] = {} if own else {"title": None, "description": None}
    return layer.model_copy(update={"options": options, **mine})


def _part(
    remote_id: str, collection: str, record: DatasetRecord, layer: LayerConfig, one: Behind
) -> RemoteDataset:
    described = record.model_copy(deep=True)
    if one.part:
        remote_id, collection = f"{remote_id}/{one.part}", f"{collection}-{slug(one.part)}"
        described.title = Localized(id=f"{record.title.id}: {one.part}")
    described.bbox = one.bbox or record.bbox
    described.extras |= {f"berkas_{key.replace(' ', '_')}": value for key, value in one.notes.items()}
    return RemoteDataset(
        remote_id, collection, one.kind, described, layer, one.content, one.unchanged, one.keep
    )


def _usable(package: Any, place: str) -> Package | ItemError:
    """Return the package, or the item error that it has no id to keep it by."""
    if isinstance(package, dict) and package.get("id"):
        return package
    return ItemError("source-protocol", "a package without id", place)


def _of_resource(record: DatasetRecord, resource: Package, base: str) -> DatasetRecord:
    """Describe one resource: its own name, text, date and link, the rest as its package."""
    own = record.model_copy(deep=True)
    title = str(resource.get("name") or "").strip()
    text = str(resource.get("description") or "").strip()
    if title:
        own.title = Localized(id=f"{record.title.id}: {title}" if record.title.id != title else title)
    if text:
        own.description = Localized(id=text)
    own.modified = instant(resource.get("last_modified")) or record.modified
    link = link_of(resource, base)
    own.links = [x for x in record.links if x.rel == "canonical"] + ([link] if link else [])
    return own


def _collection(source_id: str, name: str, package_id: str) -> str:
    """Make an id of the package's name; where that loses something, the package id keeps it unique."""
    wanted = f"{source_id}-{name}"
    made = slug(wanted[:100])
    if made == wanted:
        return made
    return f"{made}-{hashlib.sha256(package_id.encode()).hexdigest()[:6]}"
