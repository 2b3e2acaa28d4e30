"""What a server process remembers of versions: enough to answer from memory, and no more."""

from __future__ import annotations

from ogc_server.kendali.room import Room


def test_of_one_thing_only_the_newest_versions_are_kept() -> None:
    room, read = Room(), []

    def ask(layer: str, version: int) -> None:
        room.get(("events", layer, version), lambda: read.append((layer, version)))

    for version in range(1, 500):
        ask("gempa", version)
    ask("peringatan", 1)
    read.clear()
    for version in (499, 498, 497):
        ask("gempa", version)
    ask("peringatan", 1)
    assert read == [("gempa", 497)]


def test_of_all_things_those_last_used_are_kept() -> None:
    room, read = Room(keep=3), []
    for name in "abcada":
        room.get(("answer", name, 1), lambda name=name: read.append(name))  # type: ignore[misc]
    assert read == ["a", "b", "c", "d"]


def test_no_more_is_kept_than_fits() -> None:
    """An earthquake under Java has ten thousand rows: sixty-four such answers would fill a gigabyte."""
    room, read = Room(most_rows=100), []

    def ask(name: str, rows: int) -> None:
        def make() -> int:
            read.append(name)
            return rows

        room.get(("answer", name, 1), make, lambda made: made)

    for name, rows in (("a", 40), ("b", 40), ("c", 40), ("huge", 400), ("a", 40), ("b", 40)):
        ask(name, rows)
    read.clear()
    for name, rows in (("b", 40), ("a", 40), ("c", 40), ("huge", 400), ("huge", 400)):
        ask(name, rows)
    assert read == ["c", "huge"]
