"""Shows what `satudata analyse` found, writes it to a file, or publishes it as a layer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import click
import pyarrow as pa

from analysis.publication import layer_of
from analysis.result import Result, form_of, table_result, write
from catalog.closed import is_closed
from catalog.errors import PublishError, QueryError
from catalog.model import Access, DatasetRecord, LayerSchema, Localized, RegionCode, Scheme
from cli.app import App
from harvesters.privacy.detect import PrivacyScan
from layers.contract import FeatureBatch
from layers.publish import publish_table

_ACCESS: tuple[Access, ...] = get_args(Access)
"""From the most open to the most closed."""


@dataclass(frozen=True, slots=True)
class Taking:
    """What a person wants done with an answer: a file, a layer, or (neither) a look at it."""

    out: Path | None = None
    publish: str | None = None
    title: str | None = None
    title_en: str | None = None
    publish_access: Access | None = None

    def check(self, app: App) -> None:
        """Refuse what can not be done, before anything is computed."""
        if self.out is not None:
            form_of(self.out)
        if self.publish and not self.title:
            raise QueryError(app.text("cli.analyse.publish.title"), where="title")


@dataclass(slots=True)
class Origin:
    """Where an answer comes from, for the record of a published one. Never holds what tells of persons."""

    method: str
    sources: list[str] = field(default_factory=list)
    """Dataset ids, and paths of files."""
    parameters: dict[str, Any] = field(default_factory=dict)
    region: RegionCode | None = None
    access: Access | None = None
    """Set where the question itself decides it (aggregation)."""
    closed: str = ""
    """Why the answer must never be public; what it was made of may say so, too."""


def region_of(scheme: Scheme, vintage: int | None) -> RegionCode | None:
    """Return what the column `kode` of an answer is, when its year is known."""
    return RegionCode(field="kode", scheme=scheme, vintage=vintage) if vintage else None


def taking_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--out` and what publishing needs; the command gets one `Taking`."""

    @functools.wraps(function)
    def command(*args: Any, **given: Any) -> Any:
        taking = Taking(**{name: given.pop(name) for name in Taking.__dataclass_fields__})
        return function(*args, taking=taking, **given)

    for option in (
        click.option("--publish-access", type=click.Choice(_ACCESS)),
        click.option("--title-en"),
        click.option("--title"),
        click.option("--publish", metavar="DATASET"),
        click.option("--out", type=click.Path(dir_okay=False, path_type=Path)),
    ):
        command = option(command)
    return command


def give(
    app: App, result: Result, columns: Sequence[str], taking: Taking, origin: Origin | None = None
) -> None:
    """Show the rows, or write and publish them."""
    if taking.out is not None:
        write(result, taking.out)
        app.say("cli.analyse.written", rows=len(result.rows), out=taking.out)
    if taking.publish is not None:
        _publish(app, result, taking, origin or Origin(""))
    if taking.out is None and taking.publish is None:
        there = {name for row in result.rows for name in row}
        app.show([dict(row) for row in result.rows], [name for name in columns if name in there])


def give_table(app: App, table: pa.Table, columns: Sequence[str], out: Path | None) -> None:
    """Show a table, or write it to a file."""
    give(app, table_result(table), columns, Taking(out))


def _publish(app: App, result: Result, taking: Taking, origin: Origin) -> None:
    schema, batches = layer_of(result, region=origin.region)
    settings = app.settings.harvest
    info = publish_table(
        app.store, app.catalog, taking.publish or "", schema, _guarded(schema, list(batches)),
        _record(app, taking, origin), by=app.by, keep=settings.keep_versions,
        closed=origin.closed or _made_of_closed(app, origin.sources),
    )  # fmt: skip
    app.say("cli.analyse.published", id=info.layer_id, version=info.version, rows=info.count)


def _guarded(schema: LayerSchema, batches: list[FeatureBatch]) -> list[FeatureBatch]:
    """Refuse personal data, by content, as a harvest would hold it."""
    scan = PrivacyScan(schema)
    for batch in batches:
        scan.feed(batch)
    found = sorted({f"{one.field} ({one.kind})" for one in scan.findings()})
    if found:
        raise PublishError(f"personal data: {', '.join(found)}", where="publish")
    return batches


def _record(app: App, taking: Taking, origin: Origin) -> DatasetRecord:
    said = "; ".join(
        f"{name}={value}" for name, value in origin.parameters.items() if value not in (None, (), "")
    )
    used = [_source(app, name) for name in origin.sources]
    lineage = [origin.method, f"sumber: {', '.join(text for text, *_ in used)}" if used else "", said]
    server = app.settings.server
    return DatasetRecord(
        title=Localized(id=taking.title or "", en=taking.title_en or ""),
        access=_access(app, taking, origin, [access for _, access, _ in used]),
        produsen_data=server.contact.organisation, walidata=server.contact.organisation,
        contact=server.contact, kode_referensi=origin.region, lineage="; ".join(filter(None, lineage)),
        synthetic=any(synthetic for *_, synthetic in used),
    )  # fmt: skip


def _source(app: App, name: str) -> tuple[str, Access, bool]:
    """Return a source as the lineage says it, who may see it, and whether it is invented."""
    if Path(name).is_file():
        with Path(name).open("rb") as file:
            digest = sha256()
            while part := file.read(1 << 20):
                digest.update(part)
        return f"berkas sha256:{digest.hexdigest()[:16]}", "internal", False
    record = app.catalog.datasets.get(name).record
    info = app.catalog.versions.current(name)
    return f"{name} v{info.version if info else '?'}", record.access, record.synthetic


def _made_of_closed(app: App, names: Sequence[str]) -> str:
    """Name the datasets among the sources that must not be public: neither must what is made of them."""
    used = (name for name in names if not Path(name).is_file())
    return ", ".join(name for name in used if is_closed(app.catalog.versions.current(name)))


def _access(app: App, taking: Taking, origin: Origin, sources: list[Access]) -> Access:
    """Return who may see the result: never more people than may see a dataset that it was made of."""
    if origin.access is not None:
        return origin.access
    files = [name for name in origin.sources if Path(name).is_file()]
    closed: Access = "internal"
    strictest = max(sources, key=_ACCESS.index, default=closed)
    if taking.publish_access is None:
        return strictest
    datasets = [access for name, access in zip(origin.sources, sources, strict=True) if name not in files]
    least = max(datasets, key=_ACCESS.index, default="publik")
    if _ACCESS.index(taking.publish_access) < _ACCESS.index(least):
        raise QueryError(app.text("cli.analyse.publish.access", access=least), where="publish-access")
    return taking.publish_access
