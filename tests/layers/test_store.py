"""What a layer store promises, on GeoPackage and on PostGIS alike."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import orjson
import pytest
import shapely

from catalog.errors import PublishError, QueryError
from catalog.model import FieldDef, FieldType, LayerSchema, VersionInfo
from layers.contract import Diff, FeatureBatch, LayerReader, LayerStore, Query, VersionWriter
from tests.layers.conftest import DESA, FIELDS, NOW, POINTS, TABLE, batch, layer_id, publish

ROW = {
    "nama": "Sukamaju", "n": 7, "luas": 1.25, "aktif": True, "tanggal": date(2024, 2, 29),
    "waktu": datetime(2024, 2, 29, 10, 30, tzinfo=timezone(timedelta(hours=7))),
}  # fmt: skip


def features(store: LayerStore, info: VersionInfo, **question: Any) -> list[dict[str, Any]]:
    return [orjson.loads(f) for f in store.reader(info).page(Query(**{"limit": 10_000, **question})).features]


def ids(store: LayerStore, info: VersionInfo, **question: Any) -> list[str]:
    return [str(f["id"]) for f in features(store, info, **question)]


def test_store_and_its_parts_are_of_the_contract(store: LayerStore, cianjur: VersionInfo) -> None:
    assert isinstance(store, LayerStore)
    assert isinstance(store.reader(cianjur), LayerReader)
    writer = store.writer(layer_id(), POINTS, "s")
    assert isinstance(writer, VersionWriter)
    writer.abort()


def test_a_reader_that_was_closed_is_let_go(store: LayerStore) -> None:
    """A server that runs for days opens thousands of versions, and each reader holds its schema."""
    infos = [publish(store, TABLE, batch({"a": {"n": number}})) for number in range(2)]
    reader = store.reader(infos[0])
    known = weakref.ref(reader)
    reader.close()
    del reader
    store.reader(infos[1])
    gc.collect()
    assert known() is None


def test_a_feature_comes_back_as_geojson_with_all_types(store: LayerStore) -> None:
    info = publish(store, POINTS, batch({"a": ROW}, ["POINT Z (107.123456789 -6.5 12)"]))
    assert features(store, info) == [
        {
            "type": "Feature",
            "id": "a",
            "geometry": {"type": "Point", "coordinates": [107.1234568, -6.5]},
            "properties": {
                "nama": "Sukamaju", "n": 7, "luas": 1.25, "aktif": True, "tanggal": "2024-02-29",
                "waktu": "2024-02-29T03:30:00.000Z",
            },
        }
    ]  # fmt: skip
    assert store.reader(info).feature("a") == store.reader(info).page(Query()).features[0]
    assert store.reader(info).feature("b") is None
    assert (info.count, info.kind, info.created, info.run_id) == (1, "feature", NOW, "run-1")
    assert info.time_start == info.time_end == "2024-02-29T03:30:00.000Z"
    (stored,) = store.reader(info).batches()
    assert stored.rows == [{**ROW, "waktu": datetime(2024, 2, 29, 3, 30, tzinfo=UTC)}]


def test_a_table_without_geometry(store: LayerStore) -> None:
    info = publish(store, TABLE, batch({"a": ROW, "b": dict.fromkeys(ROW)}))
    assert info.kind == "table"
    assert info.bbox is None
    assert [f["geometry"] for f in features(store, info)] == [None, None]
    assert ids(store, info, bbox=(-180, -90, 180, 90)) == []
    assert next(store.reader(info).batches()).geometries is None


def test_an_empty_version_can_be_read(store: LayerStore) -> None:
    info = publish(store, POINTS)
    page = store.reader(info).page(Query())
    assert (page.features, page.matched, page.next, info.count) == ([], 0, None, 0)
    assert list(store.reader(info).batches()) == []
    store.verify(info)


def test_checksum_is_of_the_content_alone(
    store: LayerStore, cianjur: VersionInfo, desa: FeatureBatch
) -> None:
    # The literal holds both stores, and every machine, to one checksum for the same content.
    again = publish(store, DESA, desa)
    assert again.checksum == cianjur.checksum
    assert publish(store, replace(DESA, fields=DESA.fields[::-1]), desa).checksum == cianjur.checksum
    fewer = FeatureBatch(desa.ids[1:], desa.rows[1:], desa.geometries[1:])  # type: ignore[index]
    assert publish(store, DESA, fewer).checksum != cianjur.checksum


def test_both_stores_have_the_same_checksum(
    store: LayerStore, embedded: LayerStore, cianjur: VersionInfo, desa: FeatureBatch
) -> None:
    assert publish(embedded, DESA, desa).checksum == cianjur.checksum


def test_ids_are_in_codepoint_order_or_numeric(store: LayerStore) -> None:
    rows = {i: {"n": 1} for i in ("b", "B", "a", "é", "10", "9", "\U0001f600", "\uffee")}
    assert ids(store, publish(store, TABLE, batch(rows))) == sorted(rows, key=lambda i: i.encode())
    numbers = replace(TABLE, integer_ids=True)
    info = publish(store, numbers, batch({i: {"n": 1} for i in ("10", "9", "-3", "100")}))
    assert [f["id"] for f in features(store, info)] == [-3, 9, 10, 100]
    first = store.reader(info).page(Query(limit=2))
    assert ids(store, info, after=first.next) == ["10", "100"]


def test_pages_survive_a_dead_writer_and_come_once(store: LayerStore) -> None:
    name = layer_id()
    first = store.writer(name, TABLE, "s 1/ä")
    first.write("p1", batch({"a": {"n": 1}, "b": {"n": 2}}))
    first.close()
    second = store.writer(name, TABLE, "s 1/ä")
    assert second.staged_pages() == {"p1"}
    assert (name, "s 1/ä") in store.stages()
    second.write("p1", batch({"a": {"n": 1}, "c": {"n": 3}}))
    second.write("p2", batch({"d": {"n": 4}}))
    assert (second.count(), second.missing(["a", "b", "d", "x"])) == (3, ["b", "x"])
    assert second.unexpected(["a"]) == ["c", "d"]
    info = second.finish(1, "r")
    assert ids(store, info) == ["a", "c", "d"]
    assert (name, "s 1/ä") not in store.stages()


def test_another_schema_starts_staging_afresh(store: LayerStore) -> None:
    name = layer_id()
    store.writer(name, TABLE, "s").write("p1", batch({"a": {"n": 1}}))
    writer = store.writer(name, replace(TABLE, fields=FIELDS[:2]), "s")
    assert (writer.staged_pages(), writer.count()) == (set(), 0)
    store.discard(name, "s")
    assert (name, "s") not in store.stages()


def test_twins_are_reported_and_the_first_is_kept(store: LayerStore) -> None:
    writer = store.writer(layer_id(), TABLE, "s")
    twice = FeatureBatch(["a", "a", "b"], [{"n": 1}, {"n": 2}, {"n": 3}])
    report = writer.write("p1", twice)
    assert [(e.code, e.remote_id) for e in report.errors] == [("duplicate-id", "a")]
    assert report.written == 2
    report = writer.write("p2", batch({"a": {"n": 1}, "b": {"n": 9}, "c": {"n": 4}}))
    assert [(e.code, e.remote_id) for e in report.errors] == [("duplicate-id", "b")]
    assert (report.written, writer.count()) == (1, 3)
    info = writer.finish(1, "r")
    assert {f["id"]: f["properties"]["n"] for f in features(store, info)} == {"a": 1, "b": 3, "c": 4}


def test_a_seeded_version_is_upserted(store: LayerStore) -> None:
    name = layer_id()
    old = publish(store, POINTS, batch({"a": ROW, "b": ROW}, ["POINT(107 -6)", "POINT(108 -7)"]), layer=name)
    wider = replace(POINTS, fields=(*FIELDS, FieldDef("baru", FieldType.TEXT)))
    writer = store.writer(name, wider, "s2")
    writer.seed(old.version)
    writer.seed(old.version)
    report = writer.write("p", batch({"b": {**ROW, "n": 8}, "c": ROW}, ["POINT(108 -7)", None]))
    assert [(e.code, e.severity) for e in report.errors] == [("geometry-missing", "warning")]
    assert writer.staged_pages() == {"p"}
    new = writer.finish(2, "r")
    assert [(f["id"], f["properties"]["n"]) for f in features(store, new)] == [("a", 7), ("b", 8), ("c", 7)]
    assert store.versions(name) == [1, 2]
    assert ids(store, old) == ["a", "b"]


def test_diff_counts_rows(store: LayerStore) -> None:
    name = layer_id()
    publish(store, TABLE, batch({i: {"n": 1} for i in "abcd"}), layer=name)
    writer = store.writer(name, TABLE, "s2")
    writer.write("p", batch({"b": {"n": 1}, "c": {"n": 2}, "e": {"n": 1}, "0": {"n": 1}}))
    assert writer.diff(1) == Diff(added=2, updated=1, unchanged=1, removed=2)
    assert writer.diff(None) == Diff(added=4, updated=0, unchanged=0, removed=0)
    writer.abort()
    assert store.stages().count((name, "s2")) == 0


def test_versions_are_immutable_and_removed_one_by_one(store: LayerStore) -> None:
    name = layer_id()
    first = publish(store, TABLE, batch({"a": {"n": 1}}), layer=name)
    second = publish(store, TABLE, batch({"a": {"n": 2}}), layer=name)
    assert (store.versions(name), store.next_version(name)) == ([1, 2], 3)
    writer = store.writer(name, TABLE, "s")
    with pytest.raises(PublishError, match="already"):
        writer.finish(2, "r")
    writer.abort()
    store.remove(name, 1)
    assert store.versions(name) == [2]
    with pytest.raises(PublishError, match="not stored"):
        store.reader(replace(first, checksum="other"))
    store.verify(second)
    assert store.next_version("belum-ada") == 1


def test_verify_sees_what_is_off(store: LayerStore, cianjur: VersionInfo) -> None:
    store.verify(cianjur)
    with pytest.raises(PublishError, match="361"):
        store.verify(replace(cianjur, count=361))
    with pytest.raises(PublishError, match="checksum"):
        store.verify(replace(cianjur, checksum="0" * 64))
    with pytest.raises(PublishError, match="not stored"):
        store.verify(replace(cianjur, version=99))


def test_values_that_do_not_fit_name_the_field(store: LayerStore) -> None:
    bad: dict[str, dict[str, Any]] = {
        "text": {"nama": 5}, "word": {"n": "5"}, "half": {"n": 1.5}, "big": {"n": 2**63}, "nan": {"luas": float("nan")},
        "flag": {"aktif": 1}, "day": {"tanggal": "29/02/2024"}, "time": {"waktu": "kemarin"},
        "bool": {"n": True}, "other": {"tiada": 1}, "half-pair": {"nama": "\ud800"},
    }  # fmt: skip
    writer = store.writer(layer_id(), TABLE, "s")
    report = writer.write("p", batch({**bad, "ok": {"nama": "a\0b", "n": 3.0}}))
    named = {e.remote_id: e for e in report.errors}
    assert set(named) == set(bad)
    assert all(f"'{next(iter(bad[i]))}'" in e.message for i, e in named.items())
    info = writer.finish(1, "r")
    assert [(f["id"], f["properties"]["nama"], f["properties"]["n"]) for f in features(store, info)] == [
        ("ok", "ab", 3)
    ]


def test_text_is_stored_in_nfc(store: LayerStore) -> None:
    info = publish(store, TABLE, batch({"e\u0301": {"nama": "Cafe\u0301"}}))
    assert [(f["id"], f["properties"]["nama"]) for f in features(store, info)] == [("é", "Café")]
    assert ids(store, info, equals=(("nama", "Café"),)) == ["é"]


def test_reserved_and_like_named_fields_get_other_columns(store: LayerStore) -> None:
    fields = tuple(
        FieldDef(n, FieldType.TEXT) for n in ("fid", "GEOM", "_id", "Nama", "nama", 'luas (%) "?"', "x" * 70)
    )
    row = {f.name: f"nilai {i}" for i, f in enumerate(fields)}
    info = publish(store, LayerSchema(fields, "Point"), batch({"a": row}, ["POINT(107 -6)"]))
    assert features(store, info)[0]["properties"] == row
    assert {"fid", "GEOM", "_id", "nama"} <= set(info.extra["columns"])
    for name, value in row.items():
        assert ids(store, info, equals=((name, value),), sortby=((name, "desc"),)) == ["a"]
    assert next(store.reader(info).batches()).rows == [row]
    with pytest.raises(PublishError, match="twice"):
        store.writer(layer_id(), LayerSchema((fields[0], fields[0])), "s")


def test_ten_thousand_columns_are_refused_before_anything_is_written(store: LayerStore) -> None:
    name = layer_id()
    with pytest.raises(PublishError, match="10000 fields") as caught:
        store.writer(name, LayerSchema(tuple(FieldDef(f"k{i}") for i in range(10_000))), "s")
    assert "drop:" in caught.value.hint()
    assert all(layer != name for layer, _ in store.stages())


def test_a_wide_layer_works(store: LayerStore) -> None:
    schema = LayerSchema(tuple(FieldDef(f"k{i}", FieldType.TEXT) for i in range(400)))
    info = publish(store, schema, batch({"a": {f"k{i}": f"{i} " * 100 for i in range(400)}}))
    assert features(store, info, equals=(("k399", "399 " * 100),))[0]["properties"]["k70"] == "70 " * 100


def test_one_feature_of_fifty_megabytes(embedded: LayerStore) -> None:
    angle = np.linspace(0, 2 * np.pi, 1_600_000, endpoint=False)
    ring = shapely.polygons(np.column_stack([107 + np.cos(angle), -6 + np.sin(angle)]))
    info = publish(embedded, replace(POINTS, geometry_type="Polygon"), batch({"a": ROW}, [ring]))
    (text,) = embedded.reader(info).page(Query()).features
    assert len(text) > 30_000_000
    assert len(orjson.loads(text)["geometry"]["coordinates"][0]) == 1_600_001
    assert info.size_bytes > 50_000_000


def test_properties_and_skip_geometry(store: LayerStore, cianjur: VersionInfo) -> None:
    whole = features(store, cianjur, limit=3)
    some = features(store, cianjur, limit=3, properties=("TIPADM", "NAMOBJ"))
    assert [f["properties"] for f in some] == [
        {k: v for k, v in f["properties"].items() if k in ("TIPADM", "NAMOBJ")} for f in whole
    ]
    assert [f["geometry"] for f in some] == [f["geometry"] for f in whole]
    bare = features(store, cianjur, limit=3, skip_geometry=True, properties=())
    assert [(f["geometry"], f["properties"]) for f in bare] == [(None, {})] * 3
    with pytest.raises(QueryError, match="did you mean 'NAMOBJ'"):
        features(store, cianjur, properties=("NAMAOBJ",))


def test_many_threads_read_at_once(store: LayerStore, cianjur: VersionInfo) -> None:
    reader, wrong = store.reader(cianjur), []
    expected = [reader.page(Query(limit=7, offset=7 * i)).features for i in range(20)]

    def read() -> None:
        for i in range(20):
            page = reader.page(Query(limit=7, offset=7 * i, bbox=(90, -20, 150, 20)))
            if page.features != expected[i] or page.matched != 360:
                wrong.append(i)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_batches_stream_chosen_columns_in_id_order(
    store: LayerStore, cianjur: VersionInfo, desa: FeatureBatch
) -> None:
    found = list(store.reader(cianjur).batches(["NAMOBJ"], size=100))
    assert [len(b) for b in found] == [100, 100, 100, 60]
    assert [i for b in found for i in b.ids] == sorted(desa.ids)
    assert set(found[0].rows[0]) == {"NAMOBJ"}
    shapes = dict(zip(desa.ids, desa.geometries, strict=True))  # type: ignore[arg-type]
    for page in found:
        for feature_id, shape in zip(page.ids, page.geometries, strict=True):  # type: ignore[arg-type]
            assert shapely.equals_exact(shape, shapely.force_2d(shapes[feature_id]), 0)


def test_batches_stream_only_what_a_question_matches(
    store: LayerStore, cianjur: VersionInfo, desa: FeatureBatch
) -> None:
    box = (107.1, -6.9, 107.2, -6.8)
    inside = [i for i, g in zip(desa.ids, desa.geometries, strict=True) if g.intersects(shapely.box(*box))]  # type: ignore[arg-type]
    found = list(store.reader(cianjur).batches(["NAMOBJ"], size=10, where=Query(bbox=box)))
    assert [i for b in found for i in b.ids] == sorted(inside)
    assert len(found) > 1
    assert list(store.reader(cianjur).batches(where=Query(ids=("no such",)))) == []


@pytest.mark.parametrize("bad", ["../x", "A", "", "a/b", "a b", "x" * 121])
def test_layer_ids_can_not_leave_the_store(store: LayerStore, bad: str) -> None:
    with pytest.raises(PublishError, match="layer id"):
        store.writer(bad, TABLE, "s")
