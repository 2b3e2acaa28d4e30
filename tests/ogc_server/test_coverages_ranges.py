"""Ranges of stored files: what a client asks for is what it gets, for any header it may send."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from ogc_server.answer import Answer, NotModifiedError
from ogc_server.ask import Ask
from ogc_server.ranges import file_answer, read_range

BODY = bytes(range(256)) * 4


def ask(**headers: str) -> Ask:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Ask("GET", "/f", "http://here", (), Headers(headers=named))


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "f.bin"
    path.write_bytes(BODY)
    return path


def content(answer: Answer) -> bytes:
    assert answer.file is not None
    body = b"".join(answer.file.pieces())
    answer.file.close()
    return body


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(1, 2000))
def test_a_range_is_the_slice_of_the_file(first: int, last: int, size: int) -> None:
    found = read_range(f"bytes={first}-{last}", size)
    if last < first:
        assert found is None  # not a range: all is sent
    elif first >= size:
        assert found == (0, 0)
    else:
        assert found == (first, min(last + 1, size))
    assert read_range(f"bytes={first}-", size) == ((first, size) if first < size else (0, 0))
    assert read_range(f"bytes=-{first}", size) == ((max(0, size - first), size) if first else (0, 0))


@given(st.text(max_size=30), st.integers(0, 100))
def test_any_header_is_read_without_failing(header: str, size: int) -> None:
    for one in (header, f"bytes={header}"):
        found = read_range(one, size)
        assert found is None or found == (0, 0) or 0 <= found[0] < found[1] <= size


@pytest.mark.parametrize("header", ["bytes=0-1,4-5", "items=0-1", "bytes=", "bytes=-", "bytes=5-1", "0-5"])
def test_what_is_no_single_range_gets_the_whole_file(stored: Path, header: str) -> None:
    answer = file_answer(ask(range=header), stored, "image/tiff", "tag")
    assert answer.status == 200
    assert content(answer) == BODY


def test_one_range_and_its_validators(stored: Path) -> None:
    answer = file_answer(ask(range="bytes=10-19"), stored, "image/tiff", "tag")
    assert (answer.status, answer.headers["Content-Range"]) == (206, "bytes 10-19/1024")
    assert content(answer) == BODY[10:20]
    same = file_answer(ask(range="bytes=10-19", if_range='"tag"'), stored, "image/tiff", "tag")
    assert same.status == 206
    content(same)
    for other in ('"old"', 'W/"tag"', "Sun, 22 Nov 2026 00:00:00 GMT"):
        changed = file_answer(ask(range="bytes=10-19", if_range=other), stored, "image/tiff", "tag")
        assert changed.status == 200
        assert content(changed) == BODY
    beyond = file_answer(ask(range="bytes=1024-"), stored, "image/tiff", "tag")
    assert (beyond.status, beyond.headers["Content-Range"], beyond.file) == (416, "bytes */1024", None)
    with pytest.raises(NotModifiedError):
        file_answer(ask(if_none_match='"tag"'), stored, "image/tiff", "tag")


def test_a_file_pruned_while_it_is_read_is_read_to_its_end(stored: Path) -> None:
    answer = file_answer(ask(), stored, "image/tiff", "tag")
    stored.unlink()
    assert content(answer) == BODY
