"""Which remote names the config chooses, and the collection ids they get."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from catalog.sources import LayerConfig, SourceConfig

MAX_ID = 120


def slug(name: str) -> str:
    """Return `name` as a collection id: lower case ASCII words joined by `-`, never empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if words and len(words) <= MAX_ID:
        return words
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{words[: MAX_ID - 9].strip('-')}-{mark}".strip("-")


@dataclass(frozen=True, slots=True)
class Choice:
    """One remote name that the config takes. `present` is False when the source does not have it."""

    remote: str
    layer: LayerConfig
    collection_id: str
    present: bool = True


def choose(source: SourceConfig, names: Iterable[str]) -> list[Choice]:
    """Match what the source has with the config: exact names first, then patterns (`*`, `palapa:*`).

    A name without its workspace (`DESA` for `palapa:DESA`) also matches when only one fits. Ids made
    from patterns start with the source's id (or the pattern's), so two sources never collide.
    """
    known = list(dict.fromkeys(names))
    chosen: dict[str, Choice] = {}
    for layer in source.layers:
        if _is_pattern(layer.remote):
            continue
        remote = _exact(layer.remote, known)
        name = remote or layer.remote
        chosen.setdefault(name, Choice(name, layer, layer.id or slug(name), present=remote is not None))
    for layer in source.layers:
        if _is_pattern(layer.remote):
            for name in known:
                if name not in chosen and fnmatchcase(name, layer.remote):
                    chosen[name] = Choice(name, layer, slug(f"{layer.id or source.id}-{name}"))
    return _distinct(list(chosen.values()))


def _is_pattern(remote: str) -> bool:
    return "*" in remote


def _exact(wanted: str, known: list[str]) -> str | None:
    if wanted in known:
        return wanted
    short = [name for name in known if name.rsplit(":", 1)[-1] == wanted]
    return short[0] if len(short) == 1 else None


def _distinct(choices: list[Choice]) -> list[Choice]:
    """Give the later of two names with one slug (`A_B`, `a-b`) a mark of its own."""
    taken: set[str] = set()
    result = []
    for choice in choices:
        wanted = choice.collection_id
        if wanted in taken:
            mark = hashlib.sha256(choice.remote.encode()).hexdigest()[:8]
            wanted = f"{wanted[: MAX_ID - 9]}-{mark}"
        taken.add(wanted)
        result.append(Choice(choice.remote, choice.layer, wanted, choice.present))
    return result
