"""`satudata prune` takes old answers to events away: first said, then done, and nothing else with them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.servers.ours import Deployment
from tests.servers.sample import copied

ANSWER = "respons-20260101t023015z-9.01-108.45"
WENT = {ANSWER, f"{ANSWER}-rencana"}


def _aged(deployment: Deployment, days: int) -> None:
    """Let the answer be as old as that."""
    when = datetime.now(UTC) - timedelta(days=days)
    with closing(sqlite3.connect(deployment.data / "catalog.sqlite")) as base, base:
        changed = base.execute("UPDATE responses SET updated = ?", (when.strftime("%Y-%m-%d %H:%M:%S.%f"),))
        assert changed.rowcount > 0


def test_prune_says_and_then_removes_answers_older_than_they_are_kept(
    harvested_sample: Path, tmp_path: Path
) -> None:
    deployment = copied(harvested_sample, tmp_path / "rumah")
    before = {row["id"] for row in deployment.json("dataset", "list")}
    assert before > WENT
    settings = deployment.config / "satudata.yml"
    text = settings.read_text("utf-8")
    assert "response:" in text
    settings.write_text(text.replace("response:", "response:\n  keep_days: 30", 1), "utf-8")

    _aged(deployment, 29)
    assert deployment.json("prune", "--dry-run") == []
    _aged(deployment, 31)
    said = deployment.json("prune", "--dry-run")
    assert {row["id"] for row in said} == WENT
    assert {row["id"] for row in deployment.json("dataset", "list")} == before

    assert deployment.json("prune") == said
    assert {row["id"] for row in deployment.json("dataset", "list")} == before - WENT
    layers = deployment.data / "layers"
    assert [file for name in WENT for file in (layers / name).rglob("*.gpkg")] == []
    assert any((layers / "contoh-fasilitas").rglob("*.gpkg"))
    assert deployment.json("prune") == []

    late = layers / ANSWER / "tiles" / "1.WebMercatorQuad.pmtiles"  # of a build that ended after all this
    late.parent.mkdir(parents=True, exist_ok=True)
    late.write_bytes(b"late")
    deployment.json("tiles", "build", "--all")
    assert not late.exists()
    assert any((layers / "contoh-fasilitas" / "tiles").glob("*.pmtiles"))
