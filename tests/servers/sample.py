"""The shipped configuration with its sample harvested, made once for a run of the tests and copied."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from tests.servers.ours import HOUSE, Deployment, sample_upstream


@pytest.fixture(scope="session")
def harvested_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `config` and `data`, to copy and not to change; the first worker of xdist makes it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "harvested-sample"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = Deployment(folder.with_suffix(".part"))
            shutil.rmtree(made.folder, ignore_errors=True)
            shutil.copytree(HOUSE / "config", made.config)
            made.run("sample", "generate")
            with sample_upstream(made):
                rows = made.json("harvest", "--all")
            assert {row["state"] for row in rows} == {"ok"}, rows
            made.folder.rename(folder)
    return folder


def copied(harvested: Path, folder: Path) -> Deployment:
    """Return a deployment of one's own."""
    shutil.copytree(harvested, folder, dirs_exist_ok=True)
    return Deployment(folder)
