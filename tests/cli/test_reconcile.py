"""A steward's day on the command line: harvest two files, compare, decide, harvest again, undo."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli import build_beside
from cli.app import App
from cli.main import main

type Call = Callable[..., Result]
ONE, TWO, NEW = "32.03.01.2001", "32.03.01.2002", "32.03.05.2009"
PAIR = f"{ONE}>{ONE}"


@pytest.fixture
def call(tmp_path: Path) -> Call:
    def run(*arguments: object, code: int = 0) -> Result:
        folders = ["--config", str(tmp_path / "config"), "--data", str(tmp_path / "data"), "--lang", "id"]
        done = CliRunner().invoke(main, [*folders, *map(str, arguments)])
        assert done.exit_code == code, done.output
        return done

    return run


@pytest.fixture
def shop(tmp_path: Path, call: Call) -> Path:
    """Two CSV sources, harvested; a reconciliation of them."""
    (tmp_path / "config" / "sources").mkdir(parents=True)
    for name in ("idm", "batas"):
        (tmp_path / "config" / "sources" / f"{name}.yml").write_text(
            f"id: {name}\ntype: file\nurl: {tmp_path / name}.csv\nprodusen_data: Dinas Contoh\n"
            f"layers:\n  - remote: {name}\n    feature_id: kode\n    types: {{jiwa: integer}}\n"
            "    region_code: {field: kode, vintage: 2025}\n"
        )
    write(tmp_path, "idm", (ONE, "Sayang", 5), (TWO, "Pamoyanan", 8))
    write(tmp_path, "batas", (ONE, "Sayang", 7), (TWO, "PAMOYANANN", 8), (NEW, "Baru", 1))
    call("harvest", "--all")
    call(
        "reconcile", "define", "uji", "idm", "batas", "--key-a", "kode", "--name-a", "nama", "--name-b", "nama",
        "--value", "jiwa",
    )  # fmt: skip
    return tmp_path


def write(folder: Path, name: str, *rows: tuple[str, str, int]) -> None:
    lines = "".join(f"{kode},{nama},{jiwa}\n" for kode, nama, jiwa in rows)
    (folder / f"{name}.csv").write_text(f"kode,nama,jiwa\n{lines}", "utf-8")


def told(call: Call, *arguments: object) -> Any:
    return json.loads(call("reconcile", *arguments, "--json").output)


def keys(call: Call) -> set[str]:
    return {row["key"] for row in told(call, "queue", "uji")}


def test_a_steward_s_day(shop: Path, call: Call) -> None:
    [ran] = told(call, "run", "--due")
    assert (ran["id"], ran["open"], ran["counts"]["nilai_berbeda"]) == ("uji", 3, 1)
    assert "Tidak ada yang perlu" in call("reconcile", "run", "--due").output
    queue = told(call, "queue", "uji")
    assert {row["key"]: row["kelas"] for row in queue} == {
        PAIR: "nilai_berbeda", f"{TWO}>{TWO}": "nama_berbeda", f">{NEW}": "hanya_di_b",
    }  # fmt: skip
    assert next(row["berbeda"] for row in queue if row["key"] == PAIR) == "jiwa: 5 | 7"

    made = told(call, "decide", "uji", PAIR, "pakai_b", "--reason", "pendataan ulang")
    assert [cell["becomes"] for cell in made["corrections"]] == [7]
    would = call("reconcile", "rule", "uji", "pakai_a", "--class", "nama_berbeda", "--alike", "0.9",
                 "--reason", "ejaan")  # fmt: skip
    assert "akan memutuskan 1" in would.output
    assert f"{TWO}>{TWO}" in keys(call), "only shown"
    rule = told(call, "rule", "uji", "pakai_a", "--class", "nama_berbeda", "--alike", "0.9", "--reason",
                "ejaan", "--apply")  # fmt: skip
    assert rule["decisions"] == 1
    call(
        "reconcile",
        "decide",
        "uji",
        f">{NEW}",
        "abaikan",
        "--reason",
        "belum didata",
        "--until",
        "2099-01-01",
    )
    assert keys(call) == set()

    runs = json.loads(call("harvest", "idm", "batas", "--json").output)
    assert [(row["state"], row["corrected"]) for row in runs] == [("ok", 1), ("ok", 1)]
    told(call, "run", "--due")
    states = {row["key"]: (row["state"], row["note"]) for row in told(call, "queue", "uji", "--state", "all")}
    assert states == {
        PAIR: ("closed", "putusan diterapkan"), f"{TWO}>{TWO}": ("closed", "putusan diterapkan"),
        f">{NEW}": ("decided", ""),
    }  # fmt: skip
    shown = told(call, "show", "uji", PAIR)
    assert shown["corrections"][0]["applied"]
    assert "pendataan ulang" in call("reconcile", "show", "uji", PAIR).output

    assert (
        "1 putusan dibatalkan"
        in call("reconcile", "undo", "uji", "--rule", rule["rule"], "--reason", "nama resmi").output
    )
    call("harvest", "--all")
    told(call, "run", "uji")
    assert keys(call) == {f"{TWO}>{TWO}"}
    history = told(call, "history", "uji")
    assert [row["rule"] is None for row in history] == [True, False, False, True]
    assert all("nama resmi" in row["undone"] for row in history if row["rule"])
    assert [row["undone"] for row in history if not row["rule"]] == ["", ""]
    out = shop / "antrean.csv"
    call("reconcile", "export", "uji", "--out", out)
    assert "pendataan ulang" in out.read_text("utf-8")
    [listed] = told(call, "list")
    assert (listed["id"], listed["open"], listed["decided"]) == ("uji", 1, 1)


def test_what_is_due_runs_beside_the_scheduler(
    shop: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_beside, "BUILDERS", build_beside.BUILDERS[:1])
    app = App(shop / "config", shop / "data")
    build_beside.build_all(app, threading.Event())
    app.close()
    assert len(keys(call)) == 3


def test_a_value_that_neither_side_has(shop: Path, call: Call) -> None:
    call("reconcile", "run", "uji")
    made = told(call, "decide", "uji", PAIR, "isi", "--set", "jiwa=6", "--reason", "sensus desa")
    assert {(cell["dataset_id"], cell["was"], cell["becomes"]) for cell in made["corrections"]} == {
        ("idm", 5, 6), ("batas", 7, 6),
    }  # fmt: skip
    call("harvest", "--all")
    call("reconcile", "run", "uji")
    assert PAIR not in keys(call)


def test_one_that_can_not_be_compared_does_not_stop_the_others(shop: Path, call: Call) -> None:
    write(shop, "lain", (ONE, "Sayang", 1))
    call("reconcile", "define", "lain", "idm", shop / "lain.csv", "--key-a", "kode")
    call("reconcile", "run", "--due")
    (shop / "lain.csv").write_text("bukan\n1\n")
    write(shop, "idm", (ONE, "Sayang", 6), (TWO, "Pamoyanan", 8))
    call("harvest", "idm")
    done = call("reconcile", "run", "--due", code=1)
    assert "lain:" in done.output
    assert "uji" in done.output


def test_persons_do_not_come_into_the_queue(shop: Path, call: Call) -> None:
    people = [("Siti Aminah binti Usman", 1), ("Budi Santoso bin Karta", 2), ("Ujang Supriatna", 3)] * 20
    write(shop, "register", *((ONE, name, n) for name, n in people))
    path = shop / "register.csv"
    path.write_text(path.read_text().replace("kode,nama,jiwa", "kode,nama_penerima,jiwa"))
    call("reconcile", "define", "orang", "idm", path, "--key-a", "kode", "--name-a", "nama", "--name-b",
         "nama_penerima")  # fmt: skip
    done = call("reconcile", "run", "orang", code=1)
    assert "nama_penerima" in done.output
    assert "Aminah" not in done.output
    assert told(call, "queue", "orang", "--state", "all") == []


WRONG = (
    ("run",), ("run", "tidak-ada"), ("queue", "tidak-ada"), ("show", "uji", "99>99"),
    ("undo", "uji", "--reason", "x"), ("undo", "uji", "--decision", "99", "--reason", "x"),
    ("decide", "uji", PAIR, "isi", "--reason", "x", "--set", "jiwa"),
    ("decide", "uji", PAIR, "pakai_a", "--reason", " "), ("history", "tidak-ada"),
    ("define", "baru", "tidak-ada", "batas", "--key-a", "kode"),
    ("define", "Salah Id", "idm", "batas", "--key-a", "kode"),
)  # fmt: skip


def test_what_can_not_be_done_is_said(shop: Path, call: Call) -> None:
    call("reconcile", "run", "uji")
    for arguments in WRONG:
        done = call("reconcile", *arguments, code=1)
        assert "→" in done.output, arguments
        assert "Traceback" not in done.output
    assert [row["undone"] for row in told(call, "history", "uji")] == []
