"""The third door as a user has it: `satudata serve` with two workers over the real Cianjur."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.servers import until
from tests.servers.ours import cianjur

SETTINGS = """
harvest: {contact: test@example.org}
processes: {boundaries: desa-cianjur, people: ""}
"""
QUAKE = {"gempa": {"lon": 107.05, "lat": -6.86, "magnitudo": 5.6, "kedalaman_km": 11}}


def test_two_workers_share_index_and_jobs(tmp_path: Path, shared_data: Path) -> None:
    deployment = cianjur(tmp_path, shared_data)
    deployment.settings(SETTINGS)
    with (
        deployment.serving(workers=2) as base,
        httpx.Client(base_url=base, timeout=60, trust_env=False) as door,
    ):
        where = "/processes/wilayah-terdampak/execution"
        direct = door.post(where, json={"inputs": QUAKE})
        assert direct.status_code == 200, direct.text
        assert direct.json()["desa"]
        accepted = door.post(where, json={"inputs": QUAKE}, headers={"Prefer": "respond-async"})
        assert accepted.status_code == 201
        job = accepted.headers["location"]
        until(
            lambda: door.get(job).json()["status"] not in ("accepted", "running"), "the job ends", pause=0.2
        )
        assert door.get(f"{job}/results").json() == direct.json()
    said = "".join(path.read_text("utf-8") for path in tmp_path.glob("serve-*.log"))
    assert "107.05" not in said
