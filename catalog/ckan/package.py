"""From one of our datasets to the CKAN package that registers it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import uuid5

from catalog.ckan.names import clean_tags, organisation_name, package_name
from catalog.datasets import Dataset
from catalog.errors import RecordError
from catalog.messages import text
from catalog.model import BBox, DatasetRecord, Link

ID, HASH = "satudata_id", "satudata_hash"
"""Extras by which we know our packages again, and see whether they are in step."""

_MAX_EXTRA = 8000
"""Characters; Solr refuses a term of more than 32,766 bytes."""
_UNFIT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+", re.ASCII)
"""One address; CKAN refuses a package for anything else."""
_ROOT = {
    "author", "author_email", "creator_user_id", "extras", "groups", "id", "license_id", "maintainer",
    "maintainer_email", "metadata_created", "metadata_modified", "name", "notes", "owner_org", "plugin_data",
    "private", "resources", "state", "tag_string", "tags", "title", "type", "url", "version",
}  # fmt: skip
"""Keys of a package itself, which CKAN refuses as extras."""
_LICENCES = {
    "cc by": "cc-by", "creative commons attribution": "cc-by", "cc by sa": "cc-by-sa", "cc0": "cc-zero",
    "odbl": "odc-odbl", "odc odbl": "odc-odbl", "odc by": "odc-by", "pddl": "odc-pddl",
}  # fmt: skip
"""Licences as people write them, without version -> CKAN's ids."""
_FORMATS = {
    "OGC:WMS": "WMS",
    "OGC:WFS": "WFS",
    "OGC:WMTS": "WMTS",
    "OGC:CSW": "CSW",
    "ESRI:REST": "Esri REST",
}

type Package = dict[str, Any]


def package_of(dataset: Dataset, base: str) -> Package:
    """Return the package; `base` is our server's public address without a slash at its end.

    The same dataset always gives the same package, its hash in the extra `satudata_hash`.
    Raises RecordError for a dataset without produsen data: CKAN wants an organisation.
    """
    record = dataset.record
    organisation = organisation_name(record.produsen_data)
    if not organisation:
        raise RecordError("no produsen data, so no organisation in CKAN", where=dataset.id)
    mark = [text("ckan.synthetic.tag")] if record.synthetic else []
    package: Package = {
        "name": package_name(dataset.id),
        "title": (record.title.id or record.title.en or dataset.id).strip(),
        "notes": _notes(record),
        "owner_org": organisation,
        "private": record.access != "publik",
        "author": record.produsen_data,
        "maintainer": record.walidata or record.contact.organisation,
        "maintainer_email": email if _EMAIL.fullmatch(email := record.contact.email.strip()) else "",
        "license_id": _licence(record.licence),
        "url": f"{base}/collections/{dataset.id}" if _is_collection(dataset) else _record_url(dataset, base),
        "version": str(dataset.version.version) if dataset.version else "",
        "tags": [{"name": tag} for tag in clean_tags([*record.keywords, *record.topic, *mark])],
        "resources": [{**r, "id": _resource_id(dataset, r["url"])} for r in _resources(dataset, base)],
        "extras": [{"key": k, "value": v} for k, v in sorted(_extras(dataset).items())],
    }
    package = _clean(package)
    package["extras"].append({"key": HASH, "value": content_hash(package)})
    return package


def _clean(value: Any) -> Any:
    """Take out what no database or index stores: control characters and halves of surrogate pairs."""
    if isinstance(value, str):
        return _UNFIT.sub("", value)
    if isinstance(value, dict):
        return {key: _clean(inner) for key, inner in value.items()}
    return [_clean(inner) for inner in value] if isinstance(value, list) else value


def content_hash(package: Package) -> str:
    """Return a hash over all of a package that we send."""
    return hashlib.sha256(json.dumps(package, sort_keys=True).encode()).hexdigest()


def extra(package: Package, key: str) -> str:
    """Return the value of an extra of a package as CKAN gives it, "" when absent."""
    return next((str(e["value"]) for e in package.get("extras") or [] if e.get("key") == key), "")


def _is_collection(dataset: Dataset) -> bool:
    return dataset.kind in ("feature", "table") and dataset.version is not None


def _record_url(dataset: Dataset, base: str) -> str:
    return f"{base}/collections/katalog/items/{dataset.id}"


def _resource_id(dataset: Dataset, url: str) -> str:
    return str(uuid5(dataset.uuid, url))


def _notes(record: DatasetRecord) -> str:
    """Return the description in Indonesian, then English; a synthetic dataset says so first."""
    parts = [f"**{text('ckan.synthetic.note')}**"] if record.synthetic else []
    both = (record.description.id, record.description.en)
    return "\n\n".join([*parts, *dict.fromkeys(p.strip() for p in both if p.strip())])


def _licence(licence: str) -> str:
    """Return CKAN's id of a licence (`CC-BY-4.0`, `CC BY 4.0` -> `cc-by`), else `notspecified`."""
    words = re.sub(r"[\s-]*v?\d+(\.\d+)*$", "", licence.casefold().strip())
    return _LICENCES.get(" ".join(re.split(r"[\s_-]+", words)), "notspecified")


def _resources(dataset: Dataset, base: str) -> Iterator[dict[str, str]]:
    made = list(_own_resources(dataset, base))
    seen = {resource["url"] for resource in made}
    yield from made
    for link in dataset.record.links:
        if link.href.startswith(("http://", "https://")) and link.href not in seen:
            seen.add(link.href)
            yield _linked(link)


def _own_resources(dataset: Dataset, base: str) -> Iterator[dict[str, str]]:
    own = f"{base}/collections/{dataset.id}"
    if _is_collection(dataset):
        yield _resource("page", f"{own}?f=html", "HTML", "text/html")
        yield _resource("collection", f"{own}?f=json", "OGC API Features", "application/json")
        yield _resource("geojson", f"{own}/items?f=json", "GeoJSON", "application/geo+json")
        yield _resource("csv", f"{own}/items?f=csv", "CSV", "text/csv")
    yield _resource(
        "record", f"{_record_url(dataset, base)}?f=json", "OGC API Records", "application/geo+json"
    )


def _resource(key: str, url: str, format_: str, mimetype: str) -> dict[str, str]:
    name = text(f"ckan.resource.{key}")
    return {"name": name, "description": text(f"ckan.resource.{key}", "en"), "url": url, "format": format_,
            "mimetype": mimetype}  # fmt: skip


def _linked(link: Link) -> dict[str, str]:
    made = {
        "name": link.title or text("ckan.resource.link"),
        "description": link.protocol,
        "url": link.href,
        "format": _FORMATS.get(link.protocol, ""),
    }
    return {**made, "mimetype": link.type} if link.type else made


def _extras(dataset: Dataset) -> dict[str, str]:
    """Return all extras but the hash; the source's own keep their keys unless one of ours is there."""
    record = dataset.record
    ours = {
        ID: dataset.id,
        "satudata_uuid": str(dataset.uuid),
        "satudata_jenis": dataset.kind,
        "frekuensi_penerbitan": record.frekuensi,
        "level_penyajian": record.tingkat_penyajian,
        "tahun": record.tahun,
        "cakupan": record.cakupan,
        "rujukan": record.rujukan,
        "spatial": json.dumps(extent(box)) if (box := record.bbox or _version_box(dataset)) else "",
        "temporal_start": _iso(record.time_start),
        "temporal_end": _iso(record.time_end),
        "produsen_data": record.produsen_data,
        "walidata": record.walidata,
        "klasifikasi_akses": record.access,
        "kode_referensi": _code(record),
        "lisensi": record.licence,
        "crs": record.crs,
        "skala": f"1:{record.scale}" if record.scale else "",
        "data_sintetis": "ya" if record.synthetic else "",
    }
    theirs = {
        (f"asal_{k}" if k in ours or k in _ROOT or k == HASH else k): v for k, v in record.extras.items()
    }
    kept = {**theirs, **ours}
    return {
        key.strip(): value.strip()[:_MAX_EXTRA]
        for key, value in kept.items()
        if key.strip() and value.strip()
    }


def _version_box(dataset: Dataset) -> BBox | None:
    return dataset.version.bbox if dataset.version else None


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _code(record: DatasetRecord) -> str:
    code = record.kode_referensi
    return f"{code.scheme} {code.vintage} ({code.field})" if code else ""


def extent(box: BBox) -> dict[str, Any]:
    """Return a bbox as GeoJSON: a point, a polygon, or two across the antimeridian (west > east)."""
    west, south, east, north = box
    if (west, south) == (east, north):
        return {"type": "Point", "coordinates": [west, south]}
    if west > east:
        halves = [_ring(west, south, 180.0, north), _ring(-180.0, south, east, north)]
        return {"type": "MultiPolygon", "coordinates": [[ring] for ring in halves]}
    return {"type": "Polygon", "coordinates": [_ring(west, south, east, north)]}


def _ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]
