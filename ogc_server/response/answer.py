"""From an event to its answer, on the layers that the processes work on; and from there to collections."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from analysis.response import Aturan, AturanKebutuhan, respond
from catalog.errors import GoneError, NotFoundError
from catalog.model import VersionInfo
from catalog.responses import EventKind
from catalog.settings import Settings
from layers.contract import LayerReader, LayerStore
from layers.publish import publish_table
from ogc_server.processes.desk import Bench
from ogc_server.processes.errors import NotConfiguredError
from ogc_server.response.event import Event, event_of
from ogc_server.response.record import Answer, record_of
from ogc_server.response.tables import Context, area_layer, plan_layer
from ogc_server.snapshot import Snapshot

BY = "respons-cepat"
_LONGEST_ID = 90


@dataclass(frozen=True, slots=True)
class Published:
    """The versions that an answer was published as."""

    area: VersionInfo
    plan: VersionInfo


def dataset_id(event_id: str, *, exercise: bool) -> str:
    """Return the collection id of an event: the same for all its revisions."""
    slug = re.sub(r"[^a-z0-9.]+", "-", event_id.lower())
    slug = re.sub(r"[-.]*-[-.]*|\.\.+", "-", slug).strip("-.")[:_LONGEST_ID].strip("-.")
    return f"respons-latihan-{slug}" if exercise else f"respons-{slug}"


def rules_of(settings: Settings) -> Aturan:
    """Return the rules of an answer as the settings say."""
    chosen = settings.response
    needs = tuple(
        AturanKebutuhan(one.item, one.per, one.amount, one.days, one.unit, one.least_mmi)
        for one in chosen.needs
    )
    metres = None if chosen.max_distance_km is None else chosen.max_distance_km * 1000
    kinds, least = tuple(chosen.kinds), chosen.earthquake.least_mmi
    return Aturan(needs, chosen.nearest, kinds, least, metres, chosen.plan_targets)


def watched(settings: Settings) -> dict[str, EventKind]:
    """Return the layers whose events may be answered, and of which kind they are."""
    chosen = settings.response
    layers: dict[str, EventKind] = {chosen.warning.layer: "peringatan", chosen.earthquake.layer: "gempa"}
    return {layer: kind for layer, kind in layers.items() if layer}


def layer_of(snapshot: Snapshot, name: str) -> VersionInfo | None:
    """Return the current version of a public layer, or None."""
    try:
        return snapshot.layer(name, None)[1]
    except (NotFoundError, GoneError):
        return None


def find_event(reader: LayerReader, kind: EventKind, event_id: str) -> Event | None:
    """Return an event of a layer by its feature id."""
    found = reader.feature(event_id)
    return None if found is None else event_of(orjson.loads(found), reader.info.layer_id, kind)


def answer_to(
    bench: Bench,
    event: Event,
    *,
    rules: Aturan,
    exercise: bool,
    revision: int = 1,
    first_id: str = "",
) -> tuple[Answer, Context, Mapping[str, str]]:
    """Compute the answer to an event; nothing is published.

    Raises NotConfiguredError when a layer is missing, QueryError when event or rules do not fit.
    """
    desk, snapshot = bench.desk, bench.snapshot
    used, synthetic = _used(bench, event)
    facilities, people = desk.facilities(snapshot), desk.people(snapshot)
    hazard = event.hazard()
    with desk.desa(snapshot, "area") as index:
        names = desk.names(snapshot, index)
        found = respond(index, hazard, facilities=facilities, people=people, rules=rules, names=names)
    exercise = exercise or event.exercise
    name = dataset_id(first_id or event.id, exercise=exercise)
    answer = Answer(event, found, used, synthetic, exercise, revision, name)
    units = {rule.item: rule.unit for rule in rules.kebutuhan}
    return answer, Context(event, revision, exercise, units, rules.k), names


def _used(bench: Bench, event: Event) -> tuple[dict[str, VersionInfo], bool]:
    """Return the versions that an answer is made from, and whether any of them is synthetic."""
    used: dict[str, VersionInfo] = {}
    events = layer_of(bench.snapshot, event.layer) if event.layer else None
    if events is not None:
        used["events"] = events
    for key in ("boundaries", "facilities", "people"):
        try:
            used[key] = bench.desk.layer(bench.snapshot, key)
        except NotConfiguredError:
            if key != "people":
                raise
    records = [bench.snapshot.dataset(info.layer_id).record for info in used.values()]
    return used, any(record.synthetic for record in records)


def publish(
    bench: Bench,
    store: LayerStore,
    answer: Answer,
    context: Context,
    names: Mapping[str, str],
    settings: Settings,
) -> Published:
    """Publish the plan, then the desa that are hit; each a new version of the event's collection."""
    with bench.desk.desa(bench.snapshot, "area") as index:
        area = area_layer(index, answer.found, context, names)
        plan = plan_layer(index, answer.found, context, names)
    made = [
        publish_table(
            store, bench.desk.catalog, name, schema, [batch],
            record_of(answer, settings, plan=name == answer.plan_id), by=BY,
            keep=settings.harvest.keep_versions,
        )
        for name, (schema, batch) in ((answer.plan_id, plan), (answer.dataset_id, area))
    ]  # fmt: skip
    return Published(made[1], made[0])
