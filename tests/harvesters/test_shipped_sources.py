"""The sources of real services that we ship: valid, switched off, and told apart."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from catalog.config import load_source
from catalog.sources import SourceConfig
from harvesters.arcgis.client import service_url
from harvesters.registry import check, harvester_class

_FOLDER = Path(__file__).resolve().parents[2] / "config" / "sources"
FILES = sorted(p for p in _FOLDER.glob("*.yml") if not p.name.startswith("sample-"))


def sources() -> list[SourceConfig]:
    return [load_source(path) for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_shipped_source_is_complete_and_off(path: Path) -> None:
    source = load_source(path)
    assert source.id == path.stem
    assert not check(source)
    assert not source.enabled, "a fresh installation must not call real services"
    assert source.url.startswith("https://")
    assert source.title is not None
    assert source.title.id
    assert source.title.en
    assert source.walidata
    for layer in source.layers:
        assert layer.remote == "*" or layer.id is None or layer.title is None or layer.title.en


def test_no_two_sources_claim_one_collection() -> None:
    ids = Counter(layer.id for source in sources() for layer in source.layers if layer.id)
    assert not [name for name, count in ids.items() if count > 1]


def test_the_boundaries_of_the_newest_edition_hold_the_plain_names() -> None:
    by_id = {layer.id: (source, layer) for source in sources() for layer in source.layers}
    source, layer = by_id["batas-desa"]
    assert (source.id, layer.region_code.field if layer.region_code else "") == ("big-batas-2026", "KDEPUM")
    assert {"gempa", "peringatan-cuaca", "sesar-aktif", "wilkerstat-desa"} <= by_id.keys()
    wilkerstat = by_id["wilkerstat-desa"][1].region_code
    assert wilkerstat is not None
    assert wilkerstat.scheme == "bps"


def test_arcgis_addresses_are_services_or_folders_of_services() -> None:
    for source in sources():
        if source.type == "arcgis":
            url, layer = service_url(source.url)
            assert not layer
            assert "/rest/services" in url
            deep = [x.remote for x in source.layers if "/" in x.remote]
            assert bool(deep) != url.endswith(("MapServer", "FeatureServer"))


@pytest.mark.parametrize("type_", ["arcgis", "postgis", "bmkg", "cap"])
def test_every_option_is_documented_with_its_name(type_: str) -> None:
    page = (_FOLDER.parents[1] / "docs" / "arcgis-postgis-bmkg.md").read_text("utf-8")
    section = page.split(f"(`type: {type_}`)")[1].split("\n## ")[0]
    for name in harvester_class(type_).options_model.model_fields:
        assert f"| `{name}` |" in section
