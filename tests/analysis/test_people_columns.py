"""Which columns of published counts are counts: percentages are never added up."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.inputs import aggregates_of, is_count
from catalog.model import FieldDef, FieldType, LayerSchema, RegionCode
from layers.contract import FeatureBatch
from layers.geopackage.store import GeoPackageStore

REAL, INTEGER = FieldType.REAL, FieldType.INTEGER


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (FieldDef("jumlah_keluarga", INTEGER), True),
        (FieldDef("jiwa", REAL), True),
        (FieldDef("persen_penerima_sembako", REAL), False),
        (FieldDef("PCT_MISKIN", REAL), False),
        (FieldDef("miskin", REAL, unit="%"), False),
        (FieldDef("rata_rata_anggota", REAL), False),
        (FieldDef("bagian", REAL), False),
        (FieldDef("tahun", INTEGER), False),
        (FieldDef("jumlah_tahunan", INTEGER), True),
        (FieldDef("nama"), False),
    ],
)
def test_a_column_is_a_count_or_not(field: FieldDef, expected: bool) -> None:
    assert is_count(field) is expected


def test_percentages_are_left_out_unless_they_are_asked_for(tmp_path: Path) -> None:
    fields = (FieldDef("kode"), FieldDef("jiwa", INTEGER), FieldDef("persen_miskin", REAL))
    schema = LayerSchema(fields, region_code=RegionCode(field="kode", vintage=2025))
    store = GeoPackageStore(tmp_path)
    rows = [{"kode": "32.03.01.2001", "jiwa": n, "persen_miskin": 45.1} for n in (10, 20)]
    writer = store.writer("orang", schema, "r")
    writer.write("0", FeatureBatch(["1", "2"], rows))
    info = writer.finish(1, "r")
    writer.close()
    reader = store.reader(info)
    assert aggregates_of(reader) == {"32.03.01.2001": {"jiwa": 30.0}}
    assert aggregates_of(reader, counts=["persen_miskin"])["32.03.01.2001"] == {"persen_miskin": 90.2}
