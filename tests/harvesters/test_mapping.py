"""A source's columns become ours as the configuration says."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import ConfigError
from catalog.model import DatasetRecord, FieldDef, FieldType, LayerSchema, Localized, RunState
from catalog.sources import LayerConfig, SourceConfig
from harvesters.mapping.mapping import MAX_REPORTED, Mapping, merged_record
from harvesters.mapping.values import CONVERT, BadValueError
from layers.contract import FeatureBatch
from layers.values import CHECKS
from tests.harvesters.support import World, layer, points

SCHEMA = LayerSchema(
    (FieldDef("NAMOBJ"), FieldDef("KDEPUM"), FieldDef("JML", FieldType.TEXT), FieldDef("SHAPE_Length")),
    "MultiPolygon",
)


def mapping(schema: LayerSchema = SCHEMA, **config: Any) -> Mapping:
    return Mapping(LayerConfig.model_validate({"remote": "0", **config}), schema)


def rows(made: Mapping, *given_: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    batch, notes = made.apply(FeatureBatch([str(i) for i in range(len(given_))], list(given_)))
    return batch.rows, [n.code for n in notes]


def test_rename_and_drop() -> None:
    made = mapping(rename={"NAMOBJ": "nama"}, drop=["SHAPE_Length"])
    assert made.schema.names() == ("nama", "KDEPUM", "JML")
    assert made.schema.fields[0].title == "NAMOBJ"
    found, _ = rows(made, {"NAMOBJ": "Sayang", "KDEPUM": "x", "JML": "3", "SHAPE_Length": 1.0, "extra": 1})
    assert found == [{"nama": "Sayang", "KDEPUM": "x", "JML": "3"}]


@pytest.mark.parametrize(
    "config",
    [
        {"rename": {"NAMOBI": "nama"}},
        {"types": {"JMLL": "integer"}},
        {"region_code": {"field": "KDEPUN", "vintage": 2025}},
        {"time": {"field": "TANGGAL"}},
        {"x": "BUJUR", "y": "LINTANG"},
        {"x": "JML"},
        {"rename": {"NAMOBJ": "JML"}},
    ],
)
def test_a_column_that_is_not_there_is_a_config_error(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        mapping(**config)


def test_the_nearest_column_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        mapping(rename={"NAMOBI": "nama"})
    assert "'NAMOBJ'" in caught.value.hint()


def test_a_pattern_layer_passes_over_columns_that_a_shape_lacks() -> None:
    made = mapping(remote="*", rename={"NAMOBJ": "nama", "NOPE": "x"}, time={"field": "TANGGAL"})
    assert made.schema.names()[0] == "nama"
    assert made.schema.time_field is None


def test_a_column_to_drop_that_is_not_there_is_a_warning() -> None:
    warnings = mapping(drop=["NIK"]).warnings
    assert [(w.code, w.severity) for w in warnings] == [("mapping-drop", "warning")]


def test_region_codes_become_canonical_and_unclear_ones_stay() -> None:
    made = mapping(region_code={"field": "KDEPUM", "scheme": "kemendagri", "vintage": 2025})
    found, notes = rows(
        made, {"KDEPUM": "3203011006"}, {"KDEPUM": " 32.03.01.1006"}, {"KDEPUM": "32.3.1.1006"},
        {"KDEPUM": 3203011006}, {"KDEPUM": 3203011006.0}, {"KDEPUM": "32.1"}, {"KDEPUM": "91.15.--.----"},
        {"KDEPUM": None},
    )  # fmt: skip
    assert [r["KDEPUM"] for r in found] == ["32.03.01.1006"] * 5 + ["32.1", "91.15.--.----", None]
    assert notes == ["code-ambiguous", "region-code"]


def test_a_region_code_column_of_numbers_becomes_text() -> None:
    schema = LayerSchema((FieldDef("kode", FieldType.INTEGER),))
    made = mapping(schema, region_code={"field": "kode", "scheme": "bps", "vintage": 2025})
    assert made.schema.fields[0].type is FieldType.TEXT
    assert rows(made, {"kode": 3203200007})[0] == [{"kode": "3203200007"}]


def test_a_table_with_coordinates_becomes_points() -> None:
    schema = LayerSchema((FieldDef("nama"), FieldDef("lon"), FieldDef("lat")))
    made = mapping(schema, rename={"lon": "bujur"}, x="bujur", y="lat")
    assert (made.schema.geometry_type, made.schema.crs) == ("Point", "EPSG:4326")
    batch, notes = made.apply(
        FeatureBatch(
            ["1", "2", "3", "4", "5"],
            [
                {"lon": "107,14", "lat": "-6.82"}, {"lon": -6.82, "lat": 107.14}, {"lon": "", "lat": "-"},
                {"lon": "timur", "lat": 1}, {"lon": 700000, "lat": 9220000},
            ],
        )
    )  # fmt: skip
    assert batch.geometries is not None
    assert [g and g.wkt for g in batch.geometries] == [
        "POINT (107.14 -6.82)", "POINT (107.14 -6.82)", None, None, None,
    ]  # fmt: skip
    assert [(n.remote_id, n.code) for n in notes] == [
        ("2", "coordinates-swapped"), ("3", "coordinates-missing"), ("4", "coordinates"),
        ("5", "coordinates-outside"),
    ]  # fmt: skip


def test_metres_are_left_alone_and_a_crs_that_is_none_is_refused() -> None:
    schema = LayerSchema((FieldDef("x", FieldType.REAL), FieldDef("y", FieldType.REAL)))
    made = mapping(schema, x="x", y="y", crs="EPSG:32748")
    batch, notes = made.apply(FeatureBatch(["1"], [{"x": 700000, "y": 9220000}]))
    assert batch.geometries is not None
    assert shapely.get_x(batch.geometries[0]) == 700000
    assert not notes
    assert made.schema.crs == "EPSG:32748"
    with pytest.raises(ConfigError):
        mapping(schema, x="x", y="y", crs="EPSG:1")


@pytest.mark.parametrize(
    ("kind", "value", "made"),
    [
        ("integer", "1.234.567", 1234567), ("integer", " 12 ", 12), ("integer", "3,0", 3), ("integer", "-", None),
        ("integer", "3203014506870002", 3203014506870002), ("real", "1,5", 1.5), ("real", "1.234,5", 1234.5),
        ("real", "1.234", 1.234), ("real", "−7,5", -7.5), ("boolean", "Ya", True), ("boolean", 0.0, False),
        ("text", 3203.0, "3203"), ("text", date(2026, 1, 2), "2026-01-02"),
        ("date", "17/08/1945", date(1945, 8, 17)), ("date", 0, date(1970, 1, 1)),
        ("datetime", "2026-03-02T10:00:00+07:00", datetime.fromisoformat("2026-03-02T10:00:00+07:00")),
        ("datetime", 1000, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_types_are_forced(kind: str, value: Any, made: Any) -> None:
    found, notes = rows(mapping(types={"JML": kind}), {"JML": value})
    assert (found[0]["JML"], notes) == (made, [])


@pytest.mark.parametrize(
    ("kind", "value"),
    [("integer", "dua"), ("integer", 1.5), ("real", "inf"), ("boolean", "mungkin"), ("date", "31/02/2026"),
     ("datetime", 10**30), ("datetime", True)],
)  # fmt: skip
def test_a_value_that_does_not_fit_becomes_null_with_a_warning(kind: str, value: Any) -> None:
    found, notes = rows(mapping(types={"JML": kind}), {"JML": value})
    assert (found[0]["JML"], notes) == (None, ["value"])


@given(st.sampled_from(list(FieldType)), st.one_of(st.text(), st.integers(), st.floats(), st.booleans()))
def test_any_value_is_converted_or_refused(kind: FieldType, value: Any) -> None:
    made: Any = None
    with suppress(BadValueError):  # any other error would end a run
        made = CONVERT[kind](value)
    assert made is None or CHECKS[kind](made) is not None


def test_one_broken_column_does_not_fill_the_error_table() -> None:
    made = mapping(types={"JML": "integer"})
    _, notes = rows(made, *({"JML": "x"} for _ in range(1000)))
    assert len(notes) == MAX_REPORTED
    assert made.totals() == {"value": 1000}


def test_the_configuration_is_laid_over_the_harvested_record() -> None:
    source = SourceConfig.model_validate(
        {"id": "s", "type": "file", "url": "x", "produsen_data": "Dinas", "synthetic": True,
         "contact": {"organisation": "Dinas"}, "layers": [{"remote": "*"}]}
    )  # fmt: skip
    config = LayerConfig.model_validate(
        {"remote": "0", "title": "Batas Desa", "licence": "CC-BY-4.0", "rename": {"KD": "kode"},
         "region_code": {"field": "KD", "vintage": 2025}}
    )  # fmt: skip
    record = DatasetRecord(title=Localized(id="LAYER_0"), keywords=["batas"], access="internal")
    made = merged_record(record, config, source)
    assert (made.title.id, made.licence, made.keywords) == ("Batas Desa", "CC-BY-4.0", ["batas"])
    assert (made.produsen_data, made.contact.organisation, made.synthetic) == ("Dinas", "Dinas", True)
    assert made.kode_referensi is not None
    assert made.kode_referensi.field == "kode"
    assert made.access == "internal"  # a default never opens what the source closed
    said = LayerConfig.model_validate({"remote": "0", "access": "publik"})
    assert merged_record(record, said, source).access == "publik"


def test_a_mapping_that_does_not_fit_fails_its_dataset_and_names_the_column(world: World) -> None:
    world.upstream(layer(points(3)))
    run = world.harvest(world.source({"remote": "fasilitas", "rename": {"nam": "x"}}))
    assert (run.state, run.code) == (RunState.FAILED, "config")
    assert "'nam'" in run.reason


def test_a_region_layer_fills_the_reference(world: World) -> None:
    rows_ = [
        {"id": "1", "kode": "32", "nama": "Jawa Barat"}, {"id": "2", "kode": "3203", "nama": "Cianjur"},
        {"id": "3", "kode": "32.03.--", "nama": "?"},
    ]  # fmt: skip
    reference = {"scheme": "kemendagri", "vintage": 2025, "code": "kode", "name": "nama"}
    config = {
        "remote": "wilayah", "region_code": {"field": "kode", "vintage": 2025},
        "options": {"region_reference": reference},
    }  # fmt: skip
    world.upstream(
        layer(rows_, "wilayah", geometry=None, fields={"kode": "text", "nama": "text"}, kind="table")
    )
    run = world.harvest(world.source(config))
    assert run.state is RunState.OK
    found = world.catalog.regions.get("kemendagri", 2025, "32.03")
    assert found is not None
    assert (found.name, found.parent) == ("Cianjur", "32")
    assert {e.code for e in world.catalog.runs.errors(run.id)} == {"region-code", "record"}
    assert world.rows("wilayah")["2"]["kode"] == "32.03"
