"""Answers of processes as people read them: names of columns, numbers in their language, words for codes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from babel.numbers import format_decimal, format_percent

from catalog.messages import Lang, catalogue, text
from ogc_server.processes.form import value_label

_SHARES = ("bagian", "tanpa_data", "kemiripan")
"""Beginnings of columns that hold a part of 1."""
_CLASS = re.compile(r"kelas_(-?[0-9.e+-]+)_(-?[0-9.e+-]+)")
"""Share of a class of zonal statistics."""
MOST_ROWS = 1000
_COLUMNS = 4
"""So many numbers in an object, at most, are columns of their own."""
_NOTHING: tuple[Any, ...] = (None, "", [], {})
_PLAIN = {"vintage", "tahun", "versi", "vintage_a", "vintage_b"}
_DEGREES = {"lon", "lat", "gudang_lon", "gudang_lat"}


def column(name: str, lang: Lang) -> str:
    """Return the heading of a column, or the label of a part of an answer."""
    if found := _CLASS.fullmatch(name):
        return f"{column('kelas', lang)} {found[1]} – {found[2]}"
    key = f"process.column.{name}"
    return text(key, lang) if key in catalogue() else name[:1].upper() + name[1:].replace("_", " ")


def say(name: str, value: Any, lang: Lang) -> str:
    """Return one value of an answer as text."""
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return text("process.value.ya" if value else "process.value.tidak", lang)
    if isinstance(value, int | float):
        return _number(name, value, lang)
    if isinstance(value, Mapping):
        return _pairs(value, lang)
    if isinstance(value, list):
        if any(isinstance(one, list | Mapping) for one in value):
            return orjson.dumps(value).decode()
        return ", ".join(say(name, one, lang) for one in value)
    return value_label(str(value), lang)


def _number(name: str, value: float, lang: Lang) -> str:
    if name in _PLAIN:
        return str(value)
    if name in _DEGREES:
        return f"{value:.6f}".rstrip("0").rstrip(".")
    share = name.startswith(_SHARES) or _CLASS.fullmatch(name)
    if isinstance(value, float) and share and 0 <= value <= 1:
        return str(format_percent(value, format="#,##0.#%", locale=lang))
    return str(format_decimal(round(value, 3), locale=lang))


def _pairs(value: Mapping[str, Any], lang: Lang) -> str:
    """Return the parts of an object with their names."""
    said = []
    for name, one in value.items():
        plain = orjson.dumps(one).decode() if isinstance(one, Mapping) else say(name, one, lang)
        said.append(f"{column(name, lang)}: {plain}" if name else plain)
    return " · ".join(said) or "—"


def labels(shown: Mapping[str, Any] | None, lang: Lang) -> dict[str, str]:
    """Return the headings of what a click on a map tells: machine name -> name for people."""
    features = shown["features"] if shown else []
    return {name: column(name, lang) for one in features[:1] for name in one["properties"]}


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell or heading as it is shown; `name` is the machine's name of a heading."""

    text: str
    number: bool
    name: str = ""


def table(rows: Sequence[Mapping[str, Any]], lang: Lang) -> tuple[list[Cell], list[list[Cell]]]:
    """Return headings and cells of at most `MOST_ROWS` rows.

    Few numbers in an object become columns; columns in which nothing stands are left out.
    """
    plain = [dict(_parts(row)) for row in rows[:MOST_ROWS]]
    filled = {name for row in plain for name, value in row.items() if value not in _NOTHING}
    names = _ordered(
        [name for name in dict.fromkeys(name for row in plain for name in row) if name in filled]
    )
    if all(row.get(("asal",)) == "asal" for row in plain):  # one origin without a name: nothing is told
        names = [name for name in names if name != ("asal",)]
    heads = [Cell(_heading(name, lang), any(_is_number(row.get(name)) for row in plain), ".".join(name))
             for name in names]  # fmt: skip
    cells = [
        [Cell(say(name[0], row.get(name), lang), _is_number(row.get(name))) for name in names]
        for row in plain
    ]
    return heads, cells


def _ordered(names: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return columns with the name of a thing right behind its rank, as a phone shows the first few."""
    rank, name = ("urutan",), ("nama",)
    if rank not in names or name not in names:
        return names
    rest = [one for one in names if one != name]
    at = rest.index(rank) + 1
    return [*rest[:at], name, *rest[at:]]


@dataclass(frozen=True, slots=True)
class Shown:
    """The functions of this room for a template, in one language."""

    lang: Lang

    def column(self, name: str) -> str:
        """See `column`."""
        return column(name, self.lang)

    def say(self, name: str, value: Any) -> str:
        """See `say`."""
        return say(name, value, self.lang)

    def table(self, rows: Sequence[Mapping[str, Any]]) -> tuple[list[Cell], list[list[Cell]]]:
        """See `table`."""
        return table(rows, self.lang)


def _parts(row: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping) and 0 < len(value) <= _COLUMNS and all(map(_is_number, value.values())):
            yield from (((name, part), one) for part, one in value.items() if part)
        else:
            yield (name,), value


def _heading(name: tuple[str, ...], lang: Lang) -> str:
    if len(name) > 1 and name[1].startswith(name[0]):
        name = name[1:]  # jumlah: jumlah_keluarga
    return ": ".join(column(part, lang) for part in name)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
