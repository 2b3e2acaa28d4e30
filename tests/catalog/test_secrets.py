"""Secrets come by reference and leave no trace."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import ConfigError
from catalog.secrets import redact, resolve


def test_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIG_TOKEN", "abc")
    (tmp_path / "token").write_text("def\n", "utf-8")
    assert resolve("${BIG_TOKEN}") == "abc"
    assert resolve(f"file:{tmp_path / 'token'}") == "def"


@pytest.mark.parametrize(
    "ref", ["plain-secret", "", "${NOT_SET_ANYWHERE}", "file:/no/such/file", "$BIG", "x${A}"]
)
def test_anything_else_is_refused_without_showing_it(ref: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(ref)
    assert "plain-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://user:HUSH@host/path",
        "postgresql+psycopg://satudata:HUSH@db:5432/x",
        "https://h/arcgis/rest/0/query?where=1=1&token=HUSH&f=json",
        "https://h/x?Api_Key=HUSH",
        "https://h/x?access_token=HUSH#a",
        "Authorization: Bearer HUSH",
        "{'Authorization': 'Basic HUSH='}",
        '{"password": "HUSH HUSH", "user": "sri"}',
        "X-Api-Key: HUSH",
        "x-ckan-api-key=HUSH",
        "Cookie: a=HUSH; b=HUSH",
        "client_secret=HUSH",
        "generateToken password='HUSH'",
    ],
)
def test_secrets_are_taken_out(text: str) -> None:
    assert "HUSH" not in redact(text)


def test_the_rest_of_the_text_stays() -> None:
    assert redact("https://u:p@host/a?token=x&f=json") == "https://u:***@host/a?token=***&f=json"


@pytest.mark.parametrize(
    "text", ["NIK 3203010101900001", "3203010101900001,Budi", "kk=3203-0101-0190-0001", "3203 0101 0190 0001"]
)
def test_numbers_of_persons_are_taken_out(text: str) -> None:
    assert "0001" not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "desa 32.03.01.1006 (3203011006)",
        "[106.1234567890123456, -6.1234567890123456]",
        "expected 83402, seen 83401",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "https://geoservices.big.go.id/rbi/rest/services/BATAS/MapServer/0/query?where=1%3D1",
        "the key of the feature is OBJECTID",
        "2026-01-01T00:00:00.000000Z",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@given(st.text(max_size=200))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)
