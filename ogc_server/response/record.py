"""What the catalogue and the notices say of an answer, in Indonesian and English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from analysis.response import Tanggapan
from catalog.messages import LANGS, text
from catalog.model import DatasetRecord, Link, Localized, VersionInfo
from catalog.notify.cloudevent import PREFIX, CloudEvent, stable_id
from catalog.settings import Settings
from ogc_server.response.event import Event
from ogc_server.response.tables import summary


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with all that was used for it: `used` are the versions of the layers, by what they are."""

    event: Event
    found: Tanggapan
    used: Mapping[str, VersionInfo]
    synthetic: bool
    exercise: bool
    revision: int
    dataset_id: str

    @property
    def plan_id(self) -> str:
        """The id of the plan's collection."""
        return f"{self.dataset_id}-rencana"


def title(answer: Answer, lang: str, zone: str) -> str:
    """Name the event: "Gempa M5,6 Cianjur, 21 Nov 2022 13.21 WIB"."""
    event = answer.event
    at = event.at.astimezone(ZoneInfo(zone))
    clock = "HH.mm" if lang == "id" else "HH:mm"
    when = (
        f"{format_datetime(at, f'd MMM yyyy {clock}', locale=lang)} {format_datetime(at, 'zzz', locale='id')}"
    )
    params: dict[str, Any] = {"tempat": event.place or "-", "waktu": when}
    if event.quake is not None:
        magnitude = f"{event.quake.magnitudo:.1f}"
        params["magnitudo"] = magnitude.replace(".", ",") if lang == "id" else magnitude
        said = text("respons.judul.gempa", lang, **params)
    else:
        params["peristiwa"] = str(event.said.get("peristiwa") or text("respons.peringatan", lang))
        said = text("respons.judul.peringatan", lang, **params)
    marks = [
        text(f"respons.tanda.{name}", lang)
        for name, on in (("latihan", answer.exercise), ("dibatalkan", event.cancelled))
        if on
    ]
    marks += [text("respons.tanda.sintetis", lang)] if answer.synthetic else []
    return "".join(f"{mark}: " for mark in marks) + said


def record_of(answer: Answer, settings: Settings, *, plan: bool) -> DatasetRecord:
    """Return the record of the collection of the event, or of its plan."""
    which = "rencana" if plan else "wilayah"
    zone = settings.scheduler.timezone
    said = summary(answer.found)
    titles = {lang: text(f"respons.koleksi.{which}", lang, judul=title(answer, lang, zone)) for lang in LANGS}
    about = {
        lang: text(f"respons.uraian.{which}", lang, desa=said["desa"], kabkota=said["kabkota"],
                   revisi=answer.revision)
        + (" " + text("respons.uraian.latihan", lang) if answer.exercise else "")
        for lang in LANGS
    }  # fmt: skip
    event, contact = answer.event, settings.server.contact
    words = ["respons cepat", "bencana", "BMKG", "gempa bumi" if event.kind == "gempa" else "peringatan dini"]
    words += ["alokasi bantuan"] if plan else ["wilayah terdampak", "bantuan terdekat"]
    words += (["latihan"] if answer.exercise else []) + (["contoh sintetis"] if answer.synthetic else [])
    return DatasetRecord(
        title=Localized(**titles), description=Localized(**about), keywords=words,
        topic=["society", "geoscientificInformation"], produsen_data=contact.organisation,
        walidata=contact.organisation, contact=contact, access=settings.response.access,
        tingkat_penyajian=answer.found.tingkat if plan else "desa", time_start=event.at, time_end=event.at,
        frekuensi=text("respons.frekuensi", "id"), purpose=text("respons.tujuan", "id"),
        lineage=_lineage(answer), credit=text("respons.kredit", "id"), crs="" if plan else "EPSG:4326",
        synthetic=answer.synthetic, links=_links(answer, settings),
        extras={
            "kejadian": event.id, "revisi": str(answer.revision), "latihan": str(answer.exercise).lower(),
        },
    )  # fmt: skip


def _lineage(answer: Answer) -> str:
    layers = ", ".join(
        f"{text(f'respons.lapisan.{n}', 'id')} {v.layer_id} v{v.version}" for n, v in answer.used.items()
    )
    method = answer.found.dampak.sumber_intensitas or answer.found.dampak.metode_luas
    return text("respons.riwayat", "id", kejadian=answer.event.id, lapisan=layers, metode=method)


def _links(answer: Answer, settings: Settings) -> list[Link]:
    if not settings.server.url:
        return []
    base, event = settings.server.url.rstrip("/"), answer.event
    report = f"{base}/collections/{event.layer}/items/{event.id}"
    said = text("respons.tautan.kejadian", "id")
    return [
        Link(href=report, rel="via", type="application/geo+json", title=said),
        *(
            Link(href=f"{base}/collections/{name}", rel="related", type="application/json", title=name)
            for name in (answer.dataset_id, answer.plan_id)
        ),
    ]


def event_of(answer: Answer, settings: Settings, *, kind: str = "") -> CloudEvent:
    """Return what is told of an answer. Its id is the same however often this revision is told."""
    event, zone = answer.event, settings.scheduler.timezone
    what = kind or (
        "dibatalkan" if event.cancelled else "diterbitkan" if answer.revision == 1 else "direvisi"
    )
    said = summary(answer.found)
    base = (settings.server.url or "").rstrip("/")
    data: dict[str, Any] = {
        "kejadian": event.id, "jenis": event.kind, "latihan": answer.exercise, "sintetis": answer.synthetic,
        "revisi": answer.revision, "waktu": event.at.isoformat(), "lon": round(event.lon, 5),
        "lat": round(event.lat, 5), "wilayah": event.place,
        "magnitudo": event.quake.magnitudo if event.quake else None,
        "kedalaman_km": event.quake.kedalaman_km if event.quake else None,
        "koleksi": answer.dataset_id, "rencana": answer.plan_id, "ringkasan": said,
        "tautan": _addresses(answer, base),
        "teks": {
            lang: {"judul": title(answer, lang, zone), "isi": _letter(said, answer, lang, base)}
            for lang in LANGS
        },
    }  # fmt: skip
    return CloudEvent(
        id=stable_id(answer.dataset_id, what, str(answer.revision), event.fingerprint),
        source=f"{base}/processes/respons-cepat" if base else "urn:satudata-geo:respons-cepat",
        type=f"{PREFIX}.{what}", subject=answer.dataset_id, time=event.at, data=data,
    )  # fmt: skip


def _letter(said: Mapping[str, Any], answer: Answer, lang: str, base: str) -> str:
    lines = [text("respons.surat.latihan", lang)] if answer.exercise else []
    lines.append(text("respons.surat.ringkas", lang, revisi=answer.revision, **_numbers(said)))
    if said["mmi_tertinggi"] is not None:
        lines.append(text("respons.surat.mmi", lang, mmi=said["mmi_tertinggi"]))
    lines += [text("respons.surat.hitung", lang, nama=n, jumlah=v) for n, v in said["perkiraan"].items()]
    if said["desa_tanpa_data"]:
        lines.append(text("respons.surat.tanpa_data", lang, desa=said["desa_tanpa_data"]))
    lines += [text("respons.surat.item", lang, **one) for one in said["item"]]
    return "\n".join(lines + _addresses(answer, base))


def _addresses(answer: Answer, base: str) -> list[str]:
    names = (answer.dataset_id, answer.plan_id)
    return [f"{base}/collections/{name}" for name in names] if base else []


def _numbers(said: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(said[name]) for name in ("desa", "kecamatan", "kabkota", "provinsi")}


def notes(keys: Sequence[str], lang: str) -> list[str]:
    """Return the sentences of warnings; what follows the first dot of a key is their subject."""
    return [
        text(f"respons.catatan.{key.partition('.')[0]}", lang, nama=key.partition(".")[2]) for key in keys
    ]
