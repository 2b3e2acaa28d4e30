"""Indexes that several tests ask: one of squares, one of real boundaries."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.lookup import DesaIndex
from analysis.lookup_build import build
from tests.analysis.boundaries import REGIONS, real, village


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> DesaIndex:
    return village(tmp_path_factory.mktemp("squares") / "index")


@pytest.fixture(scope="session")
def country(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> DesaIndex:
    """Real desa of seven kabupaten from Batam to Papua, with the fine grid."""
    path = shared_data / "desa_2025.parquet"
    kabupaten = [code for codes in REGIONS.values() for code in codes]
    return build(
        real(path, kabupaten),
        tmp_path_factory.mktemp("country") / "index",
        skema="kemendagri",
        vintage=2025,
        version="uji",
        cells=True,
    )
