"""A harvester that does what a JSON file says, so that the engine can be tried with any upstream.

Also a program: `python -m tests.harvesters.scripted CONFIG.json` runs the engine in a process of its
own (for kill -9, races and a disk that fills).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Set
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import shapely

from catalog.model import DatasetRecord, FieldDef, FieldType, ItemError, LayerSchema, Localized
from catalog.sources import LayerConfig, SourceConfig
from harvesters import registry
from harvesters.contract import (
    FeaturePage,
    Harvester,
    Listing,
    Options,
    OptionsModel,
    Probe,
    RemoteDataset,
)
from layers.contract import FeatureBatch

TYPE = "scripted"
PAGE = 10


def install() -> None:
    registry.BUILT_IN[TYPE] = (
        f"{__name__ if __name__ != '__main__' else 'tests.harvesters.scripted'}:Scripted"
    )


class ScriptedOptions(Options):
    colour: str = ""


class Content:
    def __init__(self, script: dict[str, Any], check: Callable[[str], None]) -> None:
        self.script, self._check = script, check

    def schema(self) -> LayerSchema:
        fields = tuple(FieldDef(n, FieldType(t)) for n, t in self.script["fields"].items())
        return LayerSchema(
            fields, self.script.get("geometry"), crs=self.script.get("crs", "EPSG:4326"),
            time_field=self.script.get("time"),
        )  # fmt: skip

    def listing(self) -> Listing:
        self._check("listing")
        rows, listing = self.script["rows"], self.script.get("listing", {})
        ids = tuple(listing.get("ids", [r["id"] for r in rows]))
        again = self.script.pop("then", None)  # what the source has when it is asked once more
        if again:
            self.script.update(again)
        return Listing(
            count=listing.get("count", len(ids)), ids=None if listing.get("no_ids") else ids,
            window=listing.get("window", False), stage=listing.get("stage", ""),
            certain=listing.get("certain", False),
        )  # fmt: skip

    def _page(self, key: str, rows: list[dict[str, Any]]) -> FeaturePage:
        errors = [ItemError("bad-row", "unreadable", r["id"]) for r in rows if r.get("bad")]
        rows = [r for r in rows if not r.get("bad")]
        shapes = None
        if self.script.get("geometry"):
            shapes = np.empty(len(rows), dtype=object)
            shapes[:] = [shapely.from_wkt(r["wkt"]) if r.get("wkt") else None for r in rows]
        values = [{n: r.get(n) for n in self.script["fields"]} for r in rows]
        return FeaturePage(key, FeatureBatch([r["id"] for r in rows], values, shapes), errors)

    def pages(self, listing: Listing, staged: Set[str]) -> Iterator[FeaturePage]:
        hidden = set(self.script.get("hidden", []))
        rows = [r for r in self.script["rows"] if r["id"] not in hidden]
        for start in range(0, len(rows), PAGE):
            if (key := f"page-{start}") not in staged:
                self._check(key)
                yield self._page(key, rows[start : start + PAGE])

    def refetch(self, ids: tuple[str, ...]) -> Iterator[FeaturePage]:
        self._check("refetch")
        gone = set(self.script.get("gone", []))
        if self.script.get("one_at_a_time"):
            ids = ids[:1]
        yield self._page("again", [r for r in self.script["rows"] if r["id"] in ids and r["id"] not in gone])


class Scripted(Harvester):
    type: ClassVar[str] = TYPE
    options_model: ClassVar[OptionsModel] = ScriptedOptions

    @property
    def script(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(Path(self.source.url).read_text("utf-8"))
        return loaded

    def _check(self, step: str) -> None:
        script = self.script
        if step == script.get("fail_at"):
            from catalog import errors

            raise getattr(errors, script.get("error", "TransientSourceError"))("as the script says")
        if step == script.get("crash_at"):
            raise ZeroDivisionError("a bug in the harvester")
        if step == script.get("hang_at"):
            Path(self.source.url).with_suffix(".hangs").touch()
            while not self.http.cancel.wait(0.05):
                time.sleep(0.05)
        log = Path(self.source.url).with_suffix(".log")
        with log.open("a") as out:
            out.write(f"{step}\n")

    def probe(self) -> Probe:
        self._check("probe")
        return Probe(title="scripted")

    def listing(self) -> Listing:
        self._check("list")
        script = self.script
        return Listing(
            ids=tuple(script.get("listed") or [d["remote"] for d in script["datasets"]]),
            window=script.get("window", False),
        )

    def datasets(self) -> Iterator[RemoteDataset | ItemError]:
        for one in self.script["datasets"]:
            if "error" in one:
                yield ItemError("bad-dataset", one["error"], one["remote"])
                continue
            layer = next(
                (la for la in self.source.layers if la.remote == one["remote"]),
                next((la for la in self.source.layers if la.remote == "*"), LayerConfig(remote="*")),
            )
            record = DatasetRecord(title=Localized(id=one.get("title", one["remote"])))
            yield RemoteDataset(
                one["remote"], layer.id or one.get("collection", one["remote"]), one.get("kind", "feature"),
                record, layer, Content(one, self._check) if "fields" in one else None,
                unchanged=one.get("etag") is not None
                and self.previous(layer.id or one["remote"], layer).get("etag") == one["etag"],
                keep={"etag": one["etag"]} if one.get("etag") else {},
            )  # fmt: skip


def waits_after(step: str, real: Callable[..., Any], wait_here: Callable[[str], None]) -> Callable[..., Any]:
    def after(*args: Any) -> Any:
        result = real(*args)
        wait_here(f"after-{step}")
        return result

    return after


def main(config: dict[str, Any]) -> None:
    """Run one source in this process; the test kills us at a phase, or waits for the end."""
    from catalog.clock import utc_now
    from catalog.settings import Settings
    from harvesters.engine import version as engine_version
    from harvesters.engine.engine import opened
    from harvesters.progress import Silent

    install()
    stop, flag = config.get("stop_at"), Path(config.get("flag", "/nonexistent"))

    def wait_here(name: str) -> None:
        if name == stop:
            flag.touch()
            time.sleep(600)

    class Stops(Silent):
        def phase(self, name: str) -> None:
            wait_here(name)

        def advance(self, n: int) -> None:
            wait_here("page")

    for step in ("build", "swap", "register_held"):  # just after a step: before the next is written
        setattr(engine_version, step, waits_after(step, getattr(engine_version, step), wait_here))
    later = timedelta(seconds=config.get("later", 0))
    with opened(Settings.model_validate(config["settings"]), clock=lambda: utc_now() + later) as engine:
        run = engine.run(SourceConfig.model_validate(config["source"]), progress=Stops())
    print(json.dumps({"state": run.state, "code": run.code, "id": run.id}))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text("utf-8")))
