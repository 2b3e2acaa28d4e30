"""Which reports are of one event. BMKG gives earthquakes no id, so time and place have to do.

Two reports are of one earthquake when their origin times are at most `same_seconds` (60) and their
epicentres at most `same_km` (100) apart; of several known ones the nearest in both counts, each
measured against its limit. A revised time or place makes a new feature in the event layer: the
report that was not there before is the revision. Warnings say themselves what they update (CAP
`references`); nothing is guessed there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from analysis.lookup import GEOD
from catalog.response_settings import QuakeRule
from catalog.responses import Entry, Sighting
from ogc_server.response.event import Event


@dataclass(slots=True)
class _Group:
    """Reports of one event: those known, and those that came now."""

    id: str
    was: Entry | None
    kept: list[Event] = field(default_factory=list)
    new: list[Event] = field(default_factory=list)

    def newest(self) -> Event | None:
        """Return the report that counts: the best new one, else the one that counted before."""
        if self.new:
            return max(self.new, key=lambda event: event.order)
        chosen = None if self.was is None else self.was.feature_id
        return next((event for event in self.kept if event.id == chosen), None)

    def members(self) -> tuple[str, ...]:
        known = self.was.members if self.was is not None else ()
        return (*known, *(event.id for event in self.new))


def sightings(
    events: Iterable[Event],
    known: Iterable[Entry],
    rule: QuakeRule,
    unwanted: Callable[[Event], str],
    *,
    prefix: str = "",
    layer: str = "",
) -> list[Sighting]:
    """Group reports into events, with those that are known; `unwanted` says why one is left alone.

    An event that was answered once is answered again whatever it has become. `prefix` stands before
    the ids of new events, `layer` is the name that their layer is noted under.
    """
    groups = [_Group(entry.id, entry) for entry in known]
    for event in sorted(events, key=lambda one: (one.at, one.id)):
        group = _group_of(event, groups, rule)
        if group is None:
            group = _Group(prefix + event.id, None)
            groups.append(group)
        here = group.was is not None and event.id in group.was.members
        (group.kept if here else group.new).append(event)
    found = []
    for group in groups:
        chosen = group.newest()
        if chosen is None:  # its reports have left the layer: nothing new is known
            continue
        answered = group.was is not None and bool(group.was.dataset_id)
        found.append(
            Sighting(
                group.id, layer or chosen.layer, chosen.kind, chosen.id, group.members(), chosen.at,
                chosen.lon, chosen.lat, chosen.fingerprint, "" if answered else unwanted(chosen),
            )
        )  # fmt: skip
    return found


def _group_of(event: Event, groups: list[_Group], rule: QuakeRule) -> _Group | None:
    for group in groups:
        if event.id in group.members():
            return group
    if event.kind == "peringatan":
        return next((g for g in groups if set(event.refers) & set(g.members())), None)
    measured = [(_apart(event, group, rule), number) for number, group in enumerate(groups)]
    apart, number = min(measured, default=(2.0, -1))
    return groups[number] if apart <= 1.0 else None


def _apart(event: Event, group: _Group, rule: QuakeRule) -> float:
    """Return how far apart event and group are: 1 is the farthest at which they are the same."""
    places = [(one.at, one.lon, one.lat) for one in group.new]
    if group.was is not None:
        places.append((group.was.at, group.was.lon, group.was.lat))
    found = []
    for at, lon, lat in places:
        seconds = abs((event.at - at).total_seconds()) / rule.same_seconds
        km = float(GEOD.inv(event.lon, event.lat, lon, lat)[2]) / 1000 / rule.same_km
        found.append(max(seconds, km))
    return min(found)
