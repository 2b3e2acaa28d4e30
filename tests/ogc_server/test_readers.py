"""Readers that are open: shared, never closed under somebody, few of one layer's versions."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from catalog.model import VersionInfo
from ogc_server.readers import Readers


class Store:
    """Counts what is open."""

    def __init__(self) -> None:
        self.open: list[tuple[str, int]] = []

    def reader(self, info: VersionInfo) -> Any:
        key = (info.layer_id, info.version)
        self.open.append(key)
        return SimpleNamespace(key=key, close=lambda: self.open.remove(key))


def version(layer: str, number: int) -> VersionInfo:
    return VersionInfo(layer, number, "feature", 1, "")


def test_a_layer_that_changes_all_the_time_keeps_a_few_versions_open() -> None:
    store = Store()
    readers = Readers(store, keep=64)  # type: ignore[arg-type]
    for number in range(1, 200):
        for layer in ("batas", "gempa"):
            with readers.lease(version(layer, 1 if layer == "batas" else number)):
                pass
    assert sorted(store.open) == [("batas", 1), *(("gempa", number) for number in (197, 198, 199))]


def test_what_nobody_asks_for_any_more_is_closed() -> None:
    """A deployment that runs for days sees many layers once: yesterday's answers, a desk's one question."""
    store, now = Store(), [0.0]
    readers = Readers(store, clock=lambda: now[0])  # type: ignore[arg-type]
    with readers.lease(version("respons-lama", 1)), readers.lease(version("batas", 1)):
        now[0] = 1000.0  # a long download of one, and one that is forgotten
    for _ in range(10):
        with readers.lease(version("batas", 1)):
            now[0] += 40
    assert store.open == [("batas", 1)]


def test_a_long_download_does_not_keep_the_others_open() -> None:
    store, now = Store(), [0.0]
    readers = Readers(store, clock=lambda: now[0])  # type: ignore[arg-type]
    with readers.lease(version("besar", 1)):
        with readers.lease(version("respons-lama", 1)):
            pass
        now[0] = 1000.0
        with readers.lease(version("batas", 1)):
            pass
        assert store.open == [("besar", 1), ("batas", 1)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9), st.booleans()), max_size=60))
def test_what_is_in_use_stays_open_and_nothing_is_open_twice(steps: list[tuple[str, int, bool]]) -> None:
    store, held = Store(), list[Any]()
    readers = Readers(store, keep=4)  # type: ignore[arg-type]
    with ExitStack() as stack:
        for layer, number, stays in steps:
            lease: Any = readers.lease(version(layer, number))
            if stays:
                held.append(stack.enter_context(lease))
            else:
                with lease as reader:
                    assert reader.key == (layer, number)
            assert len(store.open) == len(set(store.open))
            assert {one.key for one in held} <= set(store.open)
    assert len(store.open) <= 4
    readers.close()
    assert store.open == []
