"""The kabupaten/kota of claimed codes: the fast way for columns in one writing says what the slow way does."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.verify_codes import kabkota_numbers

DOTTED = st.from_regex(r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}\.[0-9]{4}", fullmatch=True)
PLAIN = st.from_regex(r"[0-9]{10}", fullmatch=True)
OTHER = (
    st.text(max_size=14)
    | st.none()
    | st.sampled_from(["32.03", "1234567890123", "12.4.56.789012", "32030120017"])
)


def plain(code: str | None) -> int:
    digits = (code or "").replace(".", "")
    return int(digits[:4]) if re.fullmatch("[1-9][0-9]{9}", digits) else 0


@given(st.lists(DOTTED) | st.lists(PLAIN) | st.lists(DOTTED | PLAIN | OTHER), st.integers(0, 3))
def test_all_writings(codes: list[str | None], cut: int) -> None:
    array = pa.array(codes, pa.string())
    expected = [plain(code) for code in codes]
    assert kabkota_numbers(array.slice(cut)).tolist() == expected[cut:]
    assert kabkota_numbers(array.dictionary_encode()).tolist() == expected


@pytest.mark.parametrize("kind", [pa.int64(), pa.large_string()])
def test_other_types(kind: pa.DataType) -> None:
    codes = pa.array([3203012001, 9301012001, 7]).cast(kind)
    assert kabkota_numbers(codes).tolist() == [3203, 9301, 0]
