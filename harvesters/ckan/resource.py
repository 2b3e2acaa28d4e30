"""The data behind a CKAN resource: a datastore table, or a file judged by its bytes."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from catalog.errors import NotFoundError, ProtocolError
from catalog.model import BBox, ItemError, Kind
from catalog.sources import LayerConfig
from harvesters.ckan.api import CkanClient
from harvesters.ckan.datastore import DatastoreContent
from harvesters.ckan.record import address_of
from harvesters.contract import FeatureContent, RasterContent
from harvesters.file.layers import Found, open_layer, scan
from harvesters.file.sniff import sniff
from harvesters.http.client import Download, Validators

_DATA = re.compile(
    r"\b(csv|tsv|xlsx|geojson|json|gpkg|geopackage|shp|shapefile|shz|fgb|flatgeobuf|parquet|kml|kmz|zip|gml"
    r"|tif|tiff|geotiff)\b",
    re.IGNORECASE,
)
type Resource = dict[str, Any]


@dataclass(slots=True)
class Behind:
    """One thing behind a resource. Without content it is kept by reference; `why` is what was wrong.

    `part` is the layer's name in a file of several. `unchanged`: the server said 304.
    """

    kind: Kind
    content: FeatureContent | RasterContent | None = None
    part: str = ""
    bbox: BBox | None = None
    notes: dict[str, str] = field(default_factory=dict)
    keep: dict[str, Any] = field(default_factory=dict)
    unchanged: bool = False
    why: str = ""


def is_candidate(resource: Resource) -> bool:
    """Tell whether any of the resource's hints promises data; only the bytes will prove it."""
    if resource.get("datastore_active") is True:
        return True
    url = address_of(resource, "http://relative")
    suffix = urlsplit(url).path.rpartition("/")[2].rpartition(".")[2]
    hints = (resource.get("format"), resource.get("mimetype"), suffix)
    return bool(url) and any(_DATA.search(str(h or "")) for h in hints)


@contextmanager
def behind(
    resource: Resource, client: CkanClient, layer: LayerConfig, rows: int, kept: Mapping[str, Any]
) -> Iterator[list[Behind]]:
    """Find out what the resource is: a table of the datastore, the layers of a file, or no data.

    `kept` is what was kept of the live version. A file is deleted when the context ends.
    Raises SourceError when it can not be fetched, or when what was data is none now.
    """
    if resource.get("datastore_active") is True and (table := _table(resource, client, layer, rows)):
        yield [Behind("table", table)]
        return
    with tempfile.TemporaryDirectory(prefix="satudata-ckan-") as folder:
        yield _fetched(resource, client, layer, kept, Path(folder))


def _table(resource: Resource, client: CkanClient, layer: LayerConfig, rows: int) -> DatastoreContent | None:
    """Return the table, or None where CKAN says there is one and there is none."""
    mark = str(resource.get("last_modified") or resource.get("metadata_modified") or "")
    content = DatastoreContent(client, str(resource["id"]), rows, mark=mark, id_field=layer.feature_id)
    try:
        content.schema()
    except NotFoundError:
        if address_of(resource, client.address):
            return None
        raise
    return content


def _fetched(
    resource: Resource, client: CkanClient, layer: LayerConfig, kept: Mapping[str, Any], folder: Path
) -> list[Behind]:
    url = address_of(resource, client.address)
    if not url:
        raise ProtocolError(
            "the package has no such resource, or it has no address", where=str(resource["id"])
        )
    known = Validators(**kept["validators"]) if kept.get("validators") else None
    download = client.http.download(url, folder, validators=known)
    if download is None:
        return [Behind(kept["kind"], notes=dict(kept["notes"]), keep=dict(kept), unchanged=True)]
    try:
        found = _of_file(download, layer, folder, client.http.settings.page_size)
    except ProtocolError as exc:
        if kept:  # it was data: this is a login page or half a file, not a change of mind
            raise
        return [Behind("record", why=exc.detail)]
    for one in found:
        one.keep = {"kind": one.kind, "notes": one.notes}
    if len(found) == 1 and download.validators.headers():
        found[0].keep["validators"] = asdict(download.validators)
    return found


def _of_file(download: Download, layer: LayerConfig, folder: Path, page_size: int) -> list[Behind]:
    """Read the file by its bytes; ProtocolError when it is no data, or is broken."""
    if sniff(download.path) == "tiff":
        return [Behind("raster", RasterFile(download.path))]
    items = scan(download.path, folder / "isi", name=Path(download.filename).stem)
    layers = [item for item in items if isinstance(item, Found)]
    problems = [item.message for item in items if isinstance(item, ItemError)]
    if not layers:
        raise ProtocolError("; ".join(problems) or "the file holds no layer", where=download.filename)
    made = []
    for item in layers:
        opened = open_layer(item, layer, page_size=page_size)
        part = item.name if len(layers) > 1 else ""
        made.append(Behind(opened.kind, opened.content, part, opened.bbox, opened.notes))
    made[0].why = "; ".join(problems)
    return made


@dataclass(frozen=True, slots=True)
class RasterFile:
    """A GeoTIFF that has already been fetched (implements `RasterContent`)."""

    path: Path

    def fetch(self, folder: Path, progress: Callable[[int, int | None], None]) -> Path:
        """Move the file into `folder`."""
        size = self.path.stat().st_size
        moved = Path(shutil.move(self.path, folder / f"raster-{self.path.name}"))
        progress(size, size)
        return moved
