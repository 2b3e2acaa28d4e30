"""The situation report: its words, facts and tables, the same for paper and workbook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, format_timedelta

from catalog.messages import text
from ogc_server.kendali.document import counts, reason, sources, worst
from ogc_server.kendali.feeds import feeds
from ogc_server.kendali.picture import Picture
from ogc_server.service import Service
from ogc_server.snapshot import Snapshot

type Line = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Table:
    """One table: rows of texts, numbers (right-aligned, written as numbers) and None."""

    key: str
    title: str
    header: Sequence[str]
    rows: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Report:
    """A situation report in one language. `marks` (LATIHAN, SINTETIS) stand on every page.

    Facts are texts, or numbers that the paper formats and the workbook keeps as numbers.
    """

    lang: str
    title: str
    marks: Sequence[str]
    facts: Sequence[tuple[str, str | float]]
    notes: Sequence[str]
    tables: Sequence[Table]
    picture: Picture


def report(service: Service, snapshot: Snapshot, picture: Picture, lang: str) -> Report:
    """Return the report of a picture, with how old its data is."""
    zone = ZoneInfo(service.settings.scheduler.timezone)

    def when(value: datetime | str | None) -> str:
        if value is None:
            return ""
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        local = at.astimezone(zone)  # babel has no short name of our zones in English
        pattern = "d MMM yyyy HH.mm" if lang == "id" else "d MMM yyyy HH:mm"
        return f"{format_datetime(local, pattern, locale=lang)} {local.tzname()}"

    def age(value: str | None) -> str:
        if value is None:
            return ""
        return format_timedelta(service.now() - datetime.fromisoformat(value), locale=lang)

    synthetic = text("kendali.laporan.tanda.sintetis", lang)

    def t(key: str, **params: Any) -> str:
        return text(f"kendali.laporan.{key}", lang, **params)

    marks = [t(f"tanda.{name}") for name, on in (
        ("latihan", picture.exercise), ("sintetis", picture.synthetic), ("dibatalkan", picture.cancelled)
    ) if on]  # fmt: skip
    revised = [t("revisi", n=picture.revision)] if picture.revision else []
    facts = [
        (t("dicetak"), when(service.now())),
        (t("waktu"), when(picture.at)),
        (t("dihitung"), " · ".join([when(picture.made), *revised])),
        (t("tempat"), _place(picture)),
        *_sums(picture, lang),
    ]  # fmt: skip
    used = sources(snapshot, picture, lang)
    larger, villages = _people(picture, lang)
    items, *aid = _aid(picture, lang)
    tables = [
        larger,
        items,
        Table("sumber", t("sumber"),
              _head(lang, "data", "koleksi", "versi", "dibuat", "produsen", "lisensi", "tanda"), [
            (one["judul"], one["id"], one["versi"], when(one.get("dibuat")), one.get("produsen"),
             one.get("lisensi") or t("tanpa_lisensi"), synthetic if one.get("sintetis") else "")
            for one in used
        ]),
        Table("umpan", t("umpan"), _head(lang, "umpan", "keadaan", "terakhir", "umur", "alasan"), [
            (one["judul"], text(f"kendali.umpan.{one['keadaan']}", lang), when(one["terakhir_baik"]),
             age(one["terakhir_baik"]), one["alasan"]) for one in feeds(service, snapshot, lang)
        ]),
        villages,
        *aid,
    ]  # fmt: skip
    none = [] if len(picture.desa) else [text("kendali.kosong.desa", lang)]
    notes = [*none, *picture.notes.get(lang, []), t("perkiraan")]
    title = t("judul", nama=picture.titles[lang])
    return Report(lang, title, marks, [(k, v) for k, v in facts if v != ""], notes, tables, picture)


def name_of(what: str, lang: str) -> str:
    """Return what a count counts, in words where we have them: `jumlah_penerima` -> recipients."""
    key = f"kendali.hitung.{what}"
    found = text(key, lang)
    return what.replace("_", " ") if found == key else found


def _head(lang: str, *names: str) -> list[str]:
    return [text(f"kendali.kolom.{name}", lang) for name in names]


def _place(picture: Picture) -> str:
    if picture.lon is None or picture.lat is None:
        return ""
    return f"{picture.lat:.3f}, {picture.lon:.3f}"


def _sums(picture: Picture, lang: str) -> list[tuple[str, str | float]]:
    said = picture.summary()
    mmi = said["mmi_tertinggi"]
    strongest: str | float = round(mmi, 1) if mmi else ""
    levels = ", ".join(
        text(f"kendali.laporan.{level}", lang, n=said[level])
        for level in ("desa", "kecamatan", "kabkota", "provinsi")
    )
    counted = [(name_of(what, lang), value) for what, value in said["perkiraan"].items()]
    unknown = [(text("kendali.laporan.tanpa_data", lang), said["desa_tanpa_data"])]
    return [
        (text("kendali.laporan.terdampak", lang), levels), (text("kendali.laporan.mmi", lang), strongest),
        *[(text("kendali.laporan.kira", lang, nama=name), value) for name, value in counted],
        *(unknown if said["desa_tanpa_data"] else []),
    ]  # fmt: skip


def _people(picture: Picture, lang: str) -> list[Table]:
    regions = picture.regions()
    names = sorted({name for one in regions for name in one["jumlah"]})
    counted = [text("kendali.laporan.terbit", lang, nama=name_of(name, lang)) for name in names]
    estimated = [text("kendali.laporan.kira", lang, nama=name_of(name, lang)) for name in names]
    larger = [
        (one["provinsi"], one["kabkota"], one["desa"], one["mmi_tertinggi"],
         *(one["jumlah"].get(n) for n in names), *(one["perkiraan"].get(n) for n in names))
        for one in regions
    ]  # fmt: skip
    columns = [counts(picture.desa, kind).get(n, "") for kind in ("jumlah", "perkiraan") for n in names]
    rows = [
        (row["kode"], row["nama"], row["kecamatan"], row["kabkota"], row["kelas"], row.get("mmi"),
         round(100 * (row.get("bagian") or 0), 1), *(row.get(name) for name in columns))
        for row in worst(picture.desa)
    ]  # fmt: skip
    return [
        Table("wilayah", text("kendali.laporan.wilayah", lang),
              [*_head(lang, "provinsi", "kabkota", "desa", "mmi"), *counted, *estimated], larger),
        Table("desa", text("kendali.laporan.daftar_desa", lang),
              [*_head(lang, "kode", "nama", "kecamatan", "kabkota", "kelas", "mmi", "bagian"), *counted,
               *estimated], rows),
    ]  # fmt: skip


def _aid(picture: Picture, lang: str) -> list[Table]:
    near = picture.near()
    items = sorted({name for one in near for name, amount in one.get("stok", {}).items() if amount})
    facilities = [
        (one["nama"], one["jenis"], one["status"], round(one["jarak_m"] / 1000, 1), one["desa"],
         *(_amount(one.get("stok", {}).get(item)) for item in items))
        for one in near
    ]  # fmt: skip
    sent = [
        (row["item"], row["jumlah"], row.get("satuan"), row["gudang_nama"], row["kode"], row["nama"],
         round(row["jarak_m"] / 1000, 1)) for row in picture.shipments()
    ]  # fmt: skip
    unmet = [
        (row["item"], row["jumlah"], row.get("satuan"), row["kode"], row["nama"], reason(row["alasan"], lang))
        for row in picture.unmet()
    ]
    columns = ("item", "satuan", "butuh", "kirim", "kurang")
    sums = [tuple(one[name] for name in columns) for one in picture.items()]
    return [
        Table("barang", text("kendali.laporan.barang", lang),
              _head(lang, *columns), sums),
        Table("fasilitas", text("kendali.laporan.fasilitas", lang),
              [*_head(lang, "nama", "jenis", "status", "jarak", "untuk_desa"),
               *(text("kendali.kolom.stok", lang, item=item) for item in items)], facilities),
        Table("rencana", text("kendali.laporan.rencana", lang),
              _head(lang, "item", "jumlah", "satuan", "gudang", "kode", "tujuan", "jarak"), sent),
        Table("kurang", text("kendali.laporan.kurang", lang),
              _head(lang, "item", "jumlah", "satuan", "kode", "tujuan", "alasan"), unmet),
    ]  # fmt: skip


def _amount(value: float | None) -> int | float | None:
    return int(value) if value is not None and float(value).is_integer() else value
