"""Running a stored reconciliation: read both sides, compare, fill the queue, let the rules decide."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from analysis.reconcile import Compared, Comparison, Side, reconcile, with_moves_by_name
from analysis.reconcile_decide import differences, rule_of, would_decide
from catalog.errors import NotFoundError, QueryError
from catalog.reconciliation_model import Definition, Reconciliation, ReconciliationRun, SideSpec
from catalog.store import Catalog
from layers.contract import LayerStore

type ReadFile = Callable[[Path, Sequence[str]], pa.Table]
"""Read the named columns of a file."""
_CHUNK = 1 << 20


def run(
    catalog: Catalog, store: LayerStore, entry: Reconciliation, *, read_file: ReadFile, by: str
) -> ReconciliationRun:
    """Compare what both sides are now. NotFoundError when a side is not there any more."""
    definition = entry.definition
    versions = {letter: version_of(catalog, side) for letter, side in _sides(definition)}
    sides = [
        _read(catalog, store, side, _columns(definition, letter), read_file)
        for letter, side in _sides(definition)
    ]
    found = _compare(catalog, entry.id, definition, *sides)
    counts = {verdict.value: count for verdict, count in sorted(found.counts.items())}
    book = catalog.reconciliations
    done = book.record(entry.id, differences(found), counts=counts, versions=versions, by=by)
    apply_rules(catalog, entry)
    return done


def due(catalog: Catalog, entry: Reconciliation) -> bool:
    """Tell whether a side, the definition or a decision's validity changed since the last run."""
    last = next(iter(catalog.reconciliations.runs(entry.id, limit=1)), None)
    if last is None or entry.updated > last.at or catalog.decisions.lapsed(entry.id, last.at):
        return True
    try:
        now = {letter: version_of(catalog, side) for letter, side in _sides(entry.definition)}
    except NotFoundError:
        return False  # there is nothing to compare with
    return now != last.versions


def apply_rules(catalog: Catalog, entry: Reconciliation) -> dict[int, int]:
    """Let the rules that hold decide what is open, in their order; return how many each decided.

    What a steward took back from a rule is not decided by it again while it stays the same.
    """
    decided: dict[int, int] = {}
    for rule in catalog.decisions.rules(entry.id, holding=True):
        taken_back = {
            (one.key, one.fingerprint)
            for one in catalog.decisions.list(entry.id, rule=rule.number)
            if one.undone_at is not None
        }
        waiting = [
            item
            for item in catalog.reconciliations.queue(entry.id)
            if (item.key, item.fingerprint) not in taken_back
        ]
        choices, _ = would_decide(rule_of(rule.fits), rule.action, waiting, entry.definition)
        if choices:
            catalog.decisions.decide(
                entry.id, choices, by=rule.by, reason=rule.reason, until=rule.until, rule=rule.number
            )
        decided[rule.number] = len(choices)
    return decided


def version_of(catalog: Catalog, side: SideSpec) -> dict[str, Any]:
    """Return what names the state of a side: a dataset's version, or a digest of the file."""
    if side.dataset is not None:
        info = catalog.versions.current(side.dataset)
        if info is None:
            raise NotFoundError(side.dataset)
        return {"dataset": side.dataset, "version": info.version}
    path = Path(str(side.file))
    if not path.is_file():
        raise NotFoundError(f"there is no file {path.name}")
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return {"file": path.name, "digest": digest.hexdigest()}


def _sides(definition: Definition) -> tuple[tuple[str, SideSpec], tuple[str, SideSpec]]:
    return ("a", definition.a), ("b", definition.b)


def _columns(definition: Definition, letter: str) -> list[str]:
    side: SideSpec = getattr(definition, letter)
    values = [getattr(pair, letter) for pair in definition.values]
    return list(dict.fromkeys([side.key, *filter(None, (side.name, side.above)), *values]))


def _read(
    catalog: Catalog, store: LayerStore, side: SideSpec, columns: Sequence[str], read_file: ReadFile
) -> Side:
    if side.dataset is None:
        table = read_file(Path(str(side.file)), columns)
        return Side(table, side.key, side.scheme or "kemendagri", side.vintage or 0, side.name, side.above)
    info = catalog.versions.current(side.dataset)
    if info is None or info.schema is None:
        raise NotFoundError(side.dataset)
    for name in columns:
        if name not in info.schema.names():
            raise QueryError(f"there is no column {name!r}", where=side.dataset)
    declared = info.schema.region_code
    if declared is not None and declared.field != side.key:
        declared = None
    ids: list[str] = []
    rows: list[dict[str, Any]] = []
    for batch in store.reader(info).batches(columns, geometry=False):
        ids += batch.ids
        rows += batch.rows
    table = pa.table({name: [row[name] for row in rows] for name in columns})
    scheme = side.scheme or (declared.scheme if declared else "kemendagri")
    vintage = side.vintage or (declared.vintage if declared else 0)
    return Side(table, side.key, scheme, vintage, side.name, side.above, ids)


def _compare(catalog: Catalog, id_: str, definition: Definition, a: Side, b: Side) -> Comparison:
    compared = [Compared(pair.a, pair.b, pair.absolute, pair.relative) for pair in definition.values]
    here, there = (a.scheme, a.vintage), (b.scheme, b.vintage)
    crosswalk = catalog.regions.pairs(from_=here, to=there) if here != there else ()
    moves = with_moves_by_name(a, b, crosswalk)
    return reconcile(a, b, compared, moves=moves, same=catalog.decisions.pairs(id_))
