"""A picture as JSON for the page: bounded lists, the worst first, with their full lengths beside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from catalog.errors import GoneError, NotFoundError
from catalog.messages import text
from ogc_server.kendali.columns import Columns, Row
from ogc_server.kendali.drawing import colour, geojson, legend
from ogc_server.kendali.picture import Picture
from ogc_server.snapshot import Snapshot

MOST_DESA, MOST_FACILITIES, MOST_PLAN = 2000, 100, 500


def document(snapshot: Snapshot, picture: Picture, lang: str) -> dict[str, Any]:
    """Return what the panels and the map show."""
    near, sent, unmet = picture.near(), picture.shipments(), picture.unmet()
    counted = {kind: counts(picture.desa, kind) for kind in ("jumlah", "perkiraan")}
    return {
        "id": picture.id or None, "versi": picture.version or None, "jenis": picture.kind,
        "kejadian": picture.event_id or None, "judul": picture.titles[lang],
        "waktu": picture.at.isoformat() if picture.at else None, "dibuat": picture.made.isoformat(),
        "revisi": picture.revision or None, "latihan": picture.exercise, "sintetis": picture.synthetic,
        "dibatalkan": picture.cancelled, "ringkasan": picture.summary(), "wilayah": picture.regions(),
        "desa": [_desa(row, counted) for row in worst(picture.desa, MOST_DESA)],
        "fasilitas": near[:MOST_FACILITIES], "fasilitas_total": len(near),
        "kiriman": [_sent(row) for row in sent[:MOST_PLAN]], "kiriman_total": len(sent),
        "kurang": [_unmet(row, lang) for row in unmet[:MOST_PLAN]], "kurang_total": len(unmet),
        "sumber": sources(snapshot, picture, lang), "catatan": picture.notes.get(lang, []),
        "legenda": legend(picture.desa), "peta": geojson(picture, near),
    }  # fmt: skip


def worst(desa: Columns, most: int | None = None) -> Iterator[Row]:
    """Yield the desa, those hit hardest first."""
    key = [(-(mmi or 0), -(share or 0), code) for mmi, share, code in desa.pairs("mmi", "bagian", "kode")]
    return desa.rows(sorted(range(len(key)), key=key.__getitem__)[:most])


def counts(desa: Columns, kind: str) -> dict[str, str]:
    """Return what is counted as `jumlah` or `perkiraan`, and the name of its column."""
    return {what: f"{kind}_{what}" for what in desa.beginning(f"{kind}_")}


def reason(code: str | None, lang: str) -> str:
    """Say why a need stays unmet."""
    return text(f"kendali.alasan.{code}", lang) if code else ""


def sources(snapshot: Snapshot, picture: Picture, lang: str) -> list[dict[str, Any]]:
    """Return the public collections that the picture was made from, with version, age and licence."""
    found = []
    for name, version in picture.used:
        try:
            dataset, info = snapshot.layer(name, version)
        except (NotFoundError, GoneError):
            found.append({"id": name, "versi": version, "judul": name})
            continue
        record = dataset.record
        found.append(
            {
                "id": name, "versi": version, "judul": record.title.get(lang) or name,
                "dibuat": info.created.isoformat(), "lisensi": record.licence,
                "produsen": record.produsen_data, "sintetis": record.synthetic,
            }
        )  # fmt: skip
    return found


def _desa(row: Row, counted: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    names = ("kode", "nama", "kecamatan", "kabkota", "provinsi", "kelas", "mmi", "bagian")
    return {
        **{name: row.get(name) for name in names}, "warna": colour(row.get("mmi"), row.get("kelas")),
        **{kind: {what: row[name] for what, name in known.items()} for kind, known in counted.items()},
        "terdekat": {"nama": row.get("bantuan_1_nama"), "jarak_m": row.get("bantuan_1_jarak_m")},
    }  # fmt: skip


def _sent(row: Row) -> dict[str, Any]:
    names = ("item", "satuan", "kode", "nama", "gudang", "gudang_nama", "jumlah", "jarak_m")
    return {name: row.get(name) for name in names}


def _unmet(row: Row, lang: str) -> dict[str, Any]:
    said = {name: row.get(name) for name in ("item", "satuan", "kode", "nama", "jumlah")}
    return said | {"alasan": reason(row.get("alasan"), lang)}
