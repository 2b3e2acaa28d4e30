"""Region codes: every writing of a code is the same code, and nothing ambiguous is guessed."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.codes import Code, Level, canonical, compose, is_canonical, parse
from catalog.errors import AmbiguousCodeError, RecordError
from catalog.model import Scheme


@pytest.mark.parametrize(
    ("text", "scheme", "canonical", "level"),
    [
        ("32", "kemendagri", "32", "provinsi"),
        ("32.03", None, "32.03", "kabkota"),
        ("3203", "kemendagri", "32.03", "kabkota"),
        ("32.03.01", None, "32.03.01", "kecamatan"),
        ("320301", None, "32.03.01", "kecamatan"),  # BPS has no six digits
        ("32.03.01.1006", None, "32.03.01.1006", "desa"),
        ("3203011006", "kemendagri", "32.03.01.1006", "desa"),
        (3203011006, "kemendagri", "32.03.01.1006", "desa"),
        (" '32.03.01.1006 ", None, "32.03.01.1006", "desa"),
        ("３２.03", None, "32.03", "kabkota"),  # full-width digits
        ("3203200", None, "3203200", "kecamatan"),  # Kemendagri has no seven digits
        ("3203200", "bps", "3203200", "kecamatan"),
        ("3203200007", "bps", "3203200007", "desa"),
        ("3203", "bps", "3203", "kabkota"),
    ],
)
def test_writings(text: str | int, scheme: Scheme | None, canonical: str, level: str) -> None:
    code = parse(text, scheme)
    assert (str(code), code.level) == (canonical, level)


@pytest.mark.parametrize(
    ("text", "scheme", "canonical"),
    [
        ("32.3.1.1006", None, "32.03.01.1006"),  # zeros lost in the parts
        ("32.3.1", None, "32.03.01"),
        ("3203.01.1006", None, "32.03.01.1006"),  # a dot lost
        ("32.0301", "kemendagri", "32.03.01"),
        ("3203011006.0", "kemendagri", "32.03.01.1006"),  # a spreadsheet's number
    ],
)
def test_what_has_one_reading_is_mended(text: str, scheme: Scheme | None, canonical: str) -> None:
    assert str(parse(text, scheme)) == canonical


@pytest.mark.parametrize("text", ["3203011006", "3203", "32", "32.1", 3203011006, "1301"])
def test_what_has_two_readings_is_never_guessed(text: str | int) -> None:
    with pytest.raises(AmbiguousCodeError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("91.15.--.----", None), ("71.05/71.10", None), ("", None), ("-", None), ("32.xx", None),
        ("Cianjur", None), ("32.03.00", None), ("00", "kemendagri"), ("05.01", None), ("32.03.01.100", None),
        ("32.03.01.10066", None), ("320.3", None), ("32..03", None), ("320301100", "kemendagri"),
        ("320301", "bps"), ("3203200", "kemendagri"), ("32.03", "bps"), ("3203000000", "bps"),
        ("-3203", "kemendagri"), ("3203e4", "kemendagri"), ("12345678901", None), ("٣٢.٠٣", None),
        ("nan", None), ("None", None), ("32,03", None),
    ],
)  # fmt: skip
def test_what_is_no_code_is_a_record_error(text: str, scheme: Scheme | None) -> None:
    with pytest.raises(RecordError) as caught:
        parse(text, scheme)
    assert caught.value.code == "record"


def test_a_wanted_level_is_held() -> None:
    with pytest.raises(RecordError, match="kabkota"):
        parse("32.03", level="desa")


def test_the_same_number_is_two_places_in_two_schemes() -> None:
    """1301 is Pesisir Selatan to Kemendagri and Kepulauan Mentawai to BPS."""
    assert parse("1301", "kemendagri") != parse("1301", "bps")


def test_parents_and_parts() -> None:
    code = parse("32.03.01.1006")
    assert code.parts == ("32", "03", "01", "1006")
    assert [str(code.at(level)) for level in ("provinsi", "kabkota", "kecamatan")] == [
        "32",
        "32.03",
        "32.03.01",
    ]
    assert str(code.parent) == "32.03.01"
    assert parse("32", "bps").parent is None
    assert str(parse("3203200007", "bps").parent) == "3203200"
    with pytest.raises(ValueError, match="above"):
        parse("32.03").at("desa")


def test_kabupaten_and_kota_desa_and_kelurahan() -> None:
    assert parse("32.03").is_kota is False
    assert parse("32.73").is_kota is True
    assert parse("32", "bps").is_kota is None
    assert parse("32.03.01.1006").is_kelurahan is True
    assert parse("32.03.01.2001").is_kelurahan is False
    assert parse("91.03.01.3007").is_kelurahan is False  # desa adat
    assert parse("3203200007", "bps").is_kelurahan is None
    assert parse("32.03").is_kelurahan is None


def test_separate_columns_are_put_together() -> None:
    assert str(compose("kemendagri", 32, "3", "1", 1006)) == "32.03.01.1006"
    assert str(compose("bps", 32, 3, 200, 7)) == "3203200007"
    for parts in ((), (32, 3, 1, 1006, 1), (32, -3), ("x",), (32, 300)):
        with pytest.raises(RecordError):
            compose("kemendagri", *parts)


_PART = {
    "kemendagri": ((11, 97), (1, 99), (1, 99), (1001, 9999)),
    "bps": ((11, 97), (1, 99), (1, 999), (1, 999)),
}


@st.composite
def codes(draw: st.DrawFn) -> Code:
    scheme: Scheme = draw(st.sampled_from(["kemendagri", "bps"]))
    depth = draw(st.integers(1, 4))
    return compose(scheme, *(draw(st.integers(*span)) for span in _PART[scheme][:depth]))


@given(codes())
def test_every_writing_of_a_code_reads_back(code: Code) -> None:
    assert parse(str(code), code.scheme) == code
    assert parse(code.digits, code.scheme) == code
    assert parse(int(code.digits), code.scheme) == code
    parent = code.parent
    assert parent is None or (code.digits.startswith(parent.digits) and code.at(parent.level) == parent)
    assert compose(code.scheme, *(int(part) for part in code.parts)) == code


@given(st.text(max_size=30))
def test_any_text_is_a_code_or_a_record_error(text: str) -> None:
    for scheme in ("kemendagri", "bps", None):
        try:
            code = parse(text, scheme)
        except RecordError:
            continue
        assert parse(str(code), code.scheme) == code


def test_the_whole_official_list(shared_data: Path) -> None:
    with gzip.open(shared_data / "kode_wilayah_2025.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 91_599
    for row in rows:
        code = parse(row["kode_tanpa_titik"], "kemendagri")
        assert (str(code), code.level, str(code.parent or "")) == (row["kode"], row["level"], row["induk"])
        if code.level == "kabkota":
            assert code.is_kota == row["nama"].startswith("Kota ")


@given(st.from_regex(r"\A[0-9]{1,3}(\.[0-9]{1,3}){0,2}(\.[0-9]{3,5})?\Z"))
def test_the_quick_look_says_canonical_only_of_what_parses_to_itself(text: str) -> None:
    try:
        parsed = str(parse(text, "kemendagri"))
    except RecordError:
        parsed = ""
    assert is_canonical(text) == (parsed == text)


@given(
    st.one_of(
        st.from_regex(r"[1-9]{2}(\.[0-9]{2}){0,2}(\.[0-9]{4})?", fullmatch=True),
        st.from_regex(r"[0-9]{10}", fullmatch=True),
        st.text("0123456789. x", max_size=14),
        st.integers(0, 10**10),
    ),
    st.sampled_from(["kemendagri", "bps"]),
    st.sampled_from(["provinsi", "kabkota", "kecamatan", "desa"]),
)
def test_the_quick_way_to_a_canonical_code_is_the_long_one(
    text: str | int, scheme: Scheme, level: Level
) -> None:
    def outcome(way: Callable[[], str]) -> str:
        try:
            return way()
        except RecordError as error:
            return f"{error.code}: {error}"

    assert outcome(lambda: canonical(text, scheme, level)) == outcome(
        lambda: str(parse(text, scheme, level=level))
    )
