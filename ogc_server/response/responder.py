"""Notices new and revised events, answers those that the rules want, publishes and tells.

The database is the queue: what an event layer's new version holds is noted there (`scan`), claimed,
answered, and the notices are written together with the end of the claim. So a harvest is never held
up, whoever runs it; a process that dies loses nothing; and two that work at once share the work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from catalog.clock import Clock, utc_now
from catalog.errors import CancelledRunError, NotFoundError, SatuDataError
from catalog.notify.deliver import deliver
from catalog.responses import Entry, EventKind, Sighting
from catalog.settings import Settings
from catalog.store import Catalog
from layers.contract import LayerStore
from ogc_server.processes.desk import Bench, Desk
from ogc_server.readers import Readers
from ogc_server.response.answer import (
    BY,
    answer_to,
    dataset_id,
    find_event,
    layer_of,
    publish,
    rules_of,
    watched,
)
from ogc_server.response.event import Event, read_events, unwanted
from ogc_server.response.matching import sightings
from ogc_server.response.record import Answer
from ogc_server.response.record import event_of as told
from ogc_server.response.retention import expire
from ogc_server.response.tables import summary
from ogc_server.snapshot import Snapshot

log = logging.getLogger(__name__)
_LEASE = 180.0
"""Seconds after which another process takes over an event whose worker is silent."""
_FIRST, _LONGEST = 5.0, 300.0
EXERCISE = "latihan:"


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one event: `state` is answered, rehearsed, ignored or failed."""

    event: str
    state: str
    reason: str = ""
    dataset_id: str = ""
    version: int | None = None
    summary: dict[str, Any] | None = None


@dataclass(slots=True)
class _Open:
    """What is open while there is work."""

    bench: Bench
    readers: Readers

    def renew(self) -> None:
        """See the catalog as it is now."""
        snapshot, catalog = self.bench.snapshot, self.bench.desk.catalog
        if snapshot.generation != catalog.generation():
            self.bench = replace(self.bench, snapshot=Snapshot.build(catalog, snapshot))

    def event(self, layer: str, kind: EventKind, event_id: str) -> Event | None:
        """Return an event of a public layer, or None."""
        info = layer_of(self.bench.snapshot, layer)
        if info is None:
            return None
        with self.readers.lease(info) as reader:
            return find_event(reader, kind, event_id)


class Responder:
    """One deployment's responder. Cheap to make; opens layers only when there is work."""

    def __init__(
        self, settings: Settings, catalog: Catalog, store: LayerStore, *, clock: Clock = utc_now
    ) -> None:
        self.settings, self.catalog, self._store, self._clock = settings, catalog, store, clock
        self._prefix = EXERCISE if settings.response.exercise else ""

    # -- is there work ------------------------------------------------------------------------------

    def pending(self) -> bool:
        """Tell whether `run` would have something to do: some short reads."""
        if self.catalog.outbox.due():
            return True
        if not self.settings.response.enabled:
            return False
        return self.catalog.responses.due() or any(self._fresh(layer) for layer in watched(self.settings))

    def _fresh(self, layer: str) -> bool:
        info = self.catalog.versions.current(layer)
        if info is None or info.version == self.catalog.responses.cursor(self._prefix + layer):
            return False
        dataset = self.catalog.datasets.find(layer)  # only public layers are ever opened
        return dataset is not None and dataset.record.access == "publik"

    def cold(self) -> str:
        """Name the boundaries' version whose index is still to be made: better now than at the event."""
        info = self.catalog.versions.current(self.settings.processes.boundaries)
        if not self.settings.response.enabled or info is None or info.kind != "feature":
            return ""
        name = f"{info.layer_id}-v{info.version}"
        made = self.settings.data_dir / "analysis" / name / "index.json"
        return "" if made.is_file() else name

    # -- the work -----------------------------------------------------------------------------------

    def run(self, stop: Callable[[], bool] = lambda: False) -> list[Done]:
        """Scan, answer all that is due, warm up, deliver; return what became of each event."""
        done: list[Done] = []
        if self.settings.response.enabled:
            with self._open() as at:
                while not stop() and (entry := self._next(at)) is not None:
                    done += self._worked(at, entry)
                self._warm(at.bench)
        if not stop():
            deliver(self.catalog, self.settings.response, clock=self._clock)
            expire(self.settings, self.catalog, self._store, self._clock(), by=BY)
        return done

    def _next(self, at: _Open) -> Entry | None:
        """Look at the layers as they are now, for they move on while we work; claim what is due."""
        at.renew()
        self.scan(at)
        return self.catalog.responses.claim(lease_seconds=_LEASE)

    @contextmanager
    def _open(self) -> Iterator[_Open]:
        readers = Readers(self._store)
        try:
            desk = Desk(self.settings, self.catalog, readers)
            yield _Open(Bench(desk, Snapshot.build(self.catalog)), readers)
        finally:
            readers.close()

    def scan(self, at: _Open) -> list[Entry]:
        """Note the events of layers that have a new version; return those that are new or revised.

        A layer that can not be read is looked at again the next time, and holds back no other.
        """
        changed: list[Entry] = []
        for layer, kind in watched(self.settings).items():
            try:
                changed += self._scanned(at, layer, kind)
            except SatuDataError as error:
                log.warning("the events of %s can not be read: %s", layer, error)
        return changed

    def _scanned(self, at: _Open, layer: str, kind: EventKind) -> list[Entry]:
        chosen, now = self.settings.response, self._clock()
        info, noted = layer_of(at.bench.snapshot, layer), self._prefix + layer
        if info is None or info.version == self.catalog.responses.cursor(noted):
            return []
        since = now - timedelta(hours=chosen.max_age_hours + 1)
        with at.readers.lease(info) as reader:
            events = list(read_events(reader, kind, since))

        def decide(known: list[Entry]) -> list[Sighting]:
            return sightings(
                events, known, chosen.earthquake, lambda event: unwanted(event, self.settings, now),
                prefix=self._prefix, layer=noted,
            )  # fmt: skip

        return self.catalog.responses.scan(noted, info.version, decide, since=since)

    def _warm(self, bench: Bench) -> None:
        if not self.cold():
            return
        try:
            with bench.desk.desa(bench.snapshot, "area"):
                pass
        except SatuDataError as error:  # the next event says it again, and so does a question over HTTP
            log.warning("the index of the boundaries is not ready: %s", error)

    def _worked(self, at: _Open, entry: Entry) -> list[Done]:
        """Answer one claimed event; what goes wrong lets it wait, and stops nothing else."""
        try:
            return [self._answer(at, entry)]
        except CancelledRunError as error:
            log.warning("%s", error)
            return []
        except Exception as error:
            reason = str(error) if isinstance(error, SatuDataError) else type(error).__name__
            log.warning(
                "event %s is not answered yet: %s",
                entry.id,
                reason,
                exc_info=not isinstance(error, SatuDataError),
            )
            return [self._postponed(entry, reason)]

    def _postponed(self, entry: Entry, reason: str) -> Done:
        wait: float | None = min(_FIRST * 2 ** (entry.attempts - 1), _LONGEST)
        if self._clock() - entry.at > timedelta(hours=self.settings.response.max_age_hours):
            wait = None
        try:
            self.catalog.responses.postpone(entry, reason=reason, seconds=wait, by=BY)
        except CancelledRunError as error:
            log.warning("%s", error)
        return Done(entry.id, "failed", reason)

    def _answer(self, at: _Open, entry: Entry) -> Done:
        event = at.event(entry.layer_id.removeprefix(EXERCISE), entry.kind, entry.feature_id)
        if event is None:
            raise NotFoundError("the event has left its layer", where=entry.id)
        exercise = entry.id.startswith(EXERCISE)
        answer, context, names = answer_to(
            at.bench, event, rules=rules_of(self.settings), exercise=exercise, revision=entry.revision + 1,
            first_id=entry.id.removeprefix(EXERCISE),
        )  # fmt: skip
        said = summary(answer.found)
        if self.settings.response.dry_run:
            self.catalog.audit.append("response.rehearsed", entry.id, by=BY, details=said)
            self.catalog.responses.ignore(entry, "dry-run")
            return Done(entry.id, "rehearsed", summary=said)
        if not answer.found.dampak.desa and not entry.dataset_id:
            self.catalog.responses.ignore(entry, "tidak-ada-desa")
            return Done(entry.id, "ignored", "tidak-ada-desa", summary=said)
        published = publish(at.bench, self._store, answer, context, names, self.settings)
        self._close(entry, answer, {"version": published.area.version, "plan": published.plan.version})
        return Done(entry.id, "answered", "", answer.dataset_id, published.area.version, said)

    def _close(self, entry: Entry, answer: Answer, versions: dict[str, int]) -> None:
        """End the claim and write the notices, in one transaction."""
        body = told(answer, self.settings).as_dict()
        names = [channel.name for channel in self.settings.response.notify]
        details = versions | {
            "dataset": answer.dataset_id, "revision": answer.revision, "report": answer.event.id,
            "exercise": answer.exercise,
            "used": {name: f"{info.layer_id} v{info.version}" for name, info in answer.used.items()},
        }  # fmt: skip
        self.catalog.responses.answered(
            entry, dataset_id=answer.dataset_id, by=BY, details=details,
            also=lambda connection: self.catalog.outbox.put(connection, body, names),
        )  # fmt: skip

    # -- by a person's word -------------------------------------------------------------------------

    def latest(self) -> str:
        """Return the id of the newest earthquake; NotFoundError when there is none."""
        layer = self.settings.response.earthquake.layer
        with self._open() as at:
            info = layer_of(at.bench.snapshot, layer)
            if info is None:
                raise NotFoundError(f"no layer {layer!r}", where="response.earthquake.layer")
            with at.readers.lease(info) as reader:
                events = read_events(reader, "gempa", self._clock() - timedelta(days=3650))
                newest = max(events, key=lambda event: event.at, default=None)
        if newest is None:
            raise NotFoundError("there is no earthquake", where=layer)
        return newest.id

    def respond(self, event_id: str, *, dry_run: bool = False) -> Done:
        """Answer one event now, whatever the rules say of it; `dry_run` publishes and tells nothing.

        NotFoundError when no event layer has it; what else goes wrong is in the answer's `reason`.
        """
        with self._open() as at:
            event, known = self._known(at, event_id)
            if dry_run:
                exercise = bool(self._prefix)
                answer, _, _ = answer_to(at.bench, event, rules=rules_of(self.settings), exercise=exercise)
                name = dataset_id(event.id, exercise=answer.exercise)
                return Done(event.id, "rehearsed", "", name, None, summary(answer.found))
            members = known.members if known is not None else (event.id,)
            first = known.id if known is not None else self._prefix + event.id
            asked = self.catalog.responses.ask(
                Sighting(
                    first, self._prefix + event.layer, event.kind, event.id, members, event.at, event.lon,
                    event.lat, event.fingerprint,
                )
            )  # fmt: skip
            entry = self.catalog.responses.claim(lease_seconds=_LEASE, event_id=asked.id)
            done = [] if entry is None else self._worked(at, entry)
        deliver(self.catalog, self.settings.response, clock=self._clock)
        return done[0] if done else Done(asked.id, "failed", "another process is at it")

    def _known(self, at: _Open, event_id: str) -> tuple[Event, Entry | None]:
        """Return the newest report of an event, and what is known of it."""
        try:
            known: Entry | None = self.catalog.responses.get(event_id, prefix=self._prefix)
        except NotFoundError:
            known = None
        wanted = event_id if known is None else known.feature_id
        for layer, kind in watched(self.settings).items():
            event = at.event(layer, kind, wanted)
            if event is not None:
                return event, known
        raise NotFoundError("no such event", where=event_id)


def exercised(settings: Settings) -> Settings:
    """Return the settings with exercise mode on."""
    return settings.model_copy(update={"response": settings.response.model_copy(update={"exercise": True})})


__all__ = ["Done", "Responder", "exercised"]
