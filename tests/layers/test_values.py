"""Any value that is accepted comes back as it was, and a deep verification finds it so."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.model import FieldType
from layers.contract import LayerStore, Query
from layers.values import CHECKS, BadValueError, native
from tests.layers.conftest import TABLE, batch, publish

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=7)), timezone(timedelta(hours=-9, minutes=-30))])
EARLY, LATE = datetime(2, 1, 1), datetime(9998, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone
ROWS = st.fixed_dictionaries(
    {
        "nama": st.none()
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
        "n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "luas": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "aktif": st.none() | st.booleans(),
        "tanggal": st.none() | st.dates(),
        "waktu": st.none() | st.datetimes(EARLY, LATE, timezones=ZONES),
    }
)


@settings(max_examples=20)
@given(rows=st.lists(ROWS, min_size=1, max_size=8))
def test_any_row_comes_back(store: LayerStore, rows: list[dict[str, Any]]) -> None:
    info = publish(store, TABLE, batch({str(i): row for i, row in enumerate(rows)}))
    store.verify(info)
    (stored,) = store.reader(info).batches()
    for before, after in zip(rows, stored.rows, strict=True):
        expected = dict(before)
        if expected["nama"] is not None:
            expected["nama"] = unicodedata.normalize("NFC", expected["nama"])
        if expected["waktu"] is not None:
            instant = expected["waktu"].astimezone(UTC)
            expected["waktu"] = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
        assert after == expected
    page = store.reader(info).page(Query())
    shown = [orjson.loads(f)["properties"] for f in page.features]
    assert [s["n"] for s in shown] == [r["n"] for r in rows]
    assert [s["luas"] for s in shown] == [r["luas"] for r in rows]
    for row, text in zip(stored.rows, page.features, strict=True):
        for name in ("nama", "n", "luas"):
            if row[name] is not None:
                found = store.reader(info).page(Query(equals=((name, str(row[name])),))).features
                assert text in found
    store.remove(info.layer_id, info.version)


GOOD = [
    (FieldType.INTEGER, np.int32(5), 5), (FieldType.INTEGER, 5.0, 5), (FieldType.REAL, np.float32(0.5), 0.5),
    (FieldType.REAL, 3, 3.0), (FieldType.BOOLEAN, np.True_, True), (FieldType.DATE, "2024-02-29", "2024-02-29"),
    (FieldType.DATETIME, "2024-02-29T10:00:00+07:00", "2024-02-29T03:00:00.000Z"),
    (FieldType.DATETIME, datetime(2024, 2, 29, 10), "2024-02-29T10:00:00.000Z"),  # noqa: DTZ001
    (FieldType.DATETIME, datetime(5, 1, 1, tzinfo=UTC), "0005-01-01T00:00:00.000Z"),
    (FieldType.TEXT, "e\u0301", "é"),
]  # fmt: skip
BAD = [
    (FieldType.INTEGER, "5"), (FieldType.INTEGER, True), (FieldType.INTEGER, 0.5), (FieldType.INTEGER, float("nan")),
    (FieldType.INTEGER, 2**63), (FieldType.REAL, "5"), (FieldType.REAL, float("inf")), (FieldType.REAL, 10**400),
    (FieldType.BOOLEAN, 1), (FieldType.BOOLEAN, "true"), (FieldType.DATE, "2024-02-30"), (FieldType.DATE, "20240229"),
    (FieldType.DATE, datetime(2024, 1, 1, tzinfo=UTC)), (FieldType.DATETIME, "kemarin"),
    (FieldType.DATETIME, date(2024, 1, 1)), (FieldType.DATETIME, 1_700_000_000), (FieldType.TEXT, 5),
    (FieldType.TEXT, b"x"), (FieldType.TEXT, ["x"]), (FieldType.TEXT, "\udc80"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "stored"), GOOD)
def test_values_are_normalised(kind: FieldType, value: Any, stored: Any) -> None:
    assert CHECKS[kind](value) == stored
    assert type(CHECKS[kind](value)) is type(stored)


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_values_of_another_type_are_refused(kind: FieldType, value: Any) -> None:
    with pytest.raises(BadValueError):
        CHECKS[kind](value)


def test_native_values() -> None:
    assert native("2024-02-29", FieldType.DATE) == date(2024, 2, 29)
    assert native(1, FieldType.BOOLEAN) is True
    assert native(None, FieldType.DATETIME) is None
