"""Downloads: resumed, length-checked, renamed when whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.errors import ProtocolError, StorageFullError, TransientSourceError
from catalog.settings import HarvestSettings
from harvesters.http.client import HttpClient, Validators
from tests.servers import misbehaving as mis
from tests.servers.misbehaving import Misbehaving

DATA = os.urandom(300_000)


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    with mis.misbehaving() as server:
        yield server


def client(retries: int = 2, **settings: float) -> HttpClient:
    given = HarvestSettings(
        allow_networks=["127.0.0.0/8"], backoff_seconds=0.01, retries=retries, timeout_seconds=20
    )
    return HttpClient(given.model_copy(update=settings))


def test_a_file_comes_whole_with_its_name(server: Misbehaving, tmp_path: Path) -> None:
    url = server.on("/data/batas%20desa.zip", mis.good("no"))
    url = server.on("/d", mis.good(DATA, Content_Disposition="attachment; filename*=UTF-8''batas%20desa.zip"))
    seen: list[tuple[int, int | None]] = []
    found = client().download(url, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert found is not None
    assert found.path.read_bytes() == DATA
    assert found.filename == "batas desa.zip"
    assert seen[-1] == (len(DATA), len(DATA))
    assert [p.name for p in tmp_path.iterdir()] == ["batas desa.zip"]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="..\\\\..\\\\a.exe"', "a.exe"),
        ('attachment; filename="..."', "download"),
        ("", "d.gpkg"),
    ],
)
def test_a_name_can_not_lead_out_of_the_folder(
    server: Misbehaving, tmp_path: Path, header: str, name: str
) -> None:
    found = client().download(server.on("/x/d.gpkg", mis.good(b"x", Content_Disposition=header)), tmp_path)
    assert found is not None
    assert found.path == tmp_path / name


def test_a_cut_download_goes_on_where_it_stopped(server: Misbehaving, tmp_path: Path) -> None:
    url = server.on("/f.bin", mis.file_of(DATA, cut_at=100_000), mis.file_of(DATA))
    found = client().download(url, tmp_path)
    assert found is not None
    assert found.path.read_bytes() == DATA
    assert server.seen[1].headers["Range"] == "bytes=100000-"


def test_a_later_run_resumes_and_a_changed_file_starts_over(server: Misbehaving, tmp_path: Path) -> None:
    url = server.on("/f.bin", mis.file_of(DATA, cut_at=100_000))
    with pytest.raises(TransientSourceError):
        client(retries=0).download(url, tmp_path)
    newer = os.urandom(200_000)
    server.on("/f.bin", mis.file_of(newer, etag='"two"'))
    found = client().download(url, tmp_path)
    assert found is not None
    assert found.path.read_bytes() == newer
    assert server.seen[-1].headers["If-Range"] == '"one"'


def test_a_server_that_answers_the_wrong_range_is_not_believed(server: Misbehaving, tmp_path: Path) -> None:
    wrong = mis.good(DATA[:50], 206, Content_Range=f"bytes 0-49/{len(DATA)}", ETag='"one"')
    url = server.on("/f.bin", mis.file_of(DATA, cut_at=100_000), wrong)
    with pytest.raises(ProtocolError, match="range"):
        client().download(url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_not_modified_brings_nothing(server: Misbehaving, tmp_path: Path) -> None:
    url = server.on("/f", mis.good(b"", 304))
    assert client().download(url, tmp_path, validators=Validators('"x"')) is None


def test_a_file_above_the_cap_is_refused_before_it_is_read(server: Misbehaving, tmp_path: Path) -> None:
    url = server.on("/f", mis.good(DATA))
    with pytest.raises(ProtocolError, match="larger than"):
        client(max_response_bytes=1000).download(url, tmp_path)
    with pytest.raises(ProtocolError, match="larger than"):
        client(max_response_bytes=100_000).download(server.on("/e", mis.endless()), tmp_path)


def test_errors_of_the_server_are_those_of_requests(server: Misbehaving, tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="HTTP 404"):
        client().download(server.url + "/none", tmp_path)


def test_a_full_disk_is_said_to_be_one(
    server: Misbehaving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *args: object) -> None: ...

        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

    real = Path.open
    monkeypatch.setattr(
        Path, "open",
        lambda self, *a, **k: Full() if self.suffix == ".part" else real(self, *a, **k),
    )  # fmt: skip
    with pytest.raises(StorageFullError, match="No space left"):
        client(retries=0).download(server.on("/f", mis.good(DATA)), tmp_path)
