"""A layer where nothing has a place today (no earthquake this week) is no failure: its tiles are empty."""

from __future__ import annotations

from pathlib import Path

import httpx
from click.testing import CliRunner

from cli.main import main
from layers.contract import FeatureBatch
from tests.ogc_server.conftest import running
from tests.ogc_server.world import DESA, make_settings, open_world

LAYER = "/collections/desa"


def test_an_empty_layer_has_empty_tiles_and_no_archive(tmp_path: Path, shared_data: Path) -> None:
    world = open_world(make_settings(tmp_path))
    world.publish("desa", DESA, FeatureBatch([], [], None), title="Desa")
    settings = world.settings
    where = ["--config", str(settings.config_dir), "--data", str(settings.data_dir)]
    built = CliRunner().invoke(main, [*where, "--lang", "en", "tiles", "build", "--all"])
    assert built.exit_code == 0, built.output
    asked = CliRunner().invoke(main, [*where, "--lang", "en", "tiles", "build", "desa"])
    assert asked.exit_code != 0
    assert "has no version with geometry" in asked.output
    with running(world) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as web:
        assert web.get(f"{LAYER}/tiles").json()["status"]["state"] == "on-request"
        assert web.get(f"{LAYER}/tiles/WebMercatorQuad/6/33/51").status_code == 204
        assert web.get(f"{LAYER}/tiles.pmtiles").status_code == 404
        for page in (f"{LAYER}/tiles", f"{LAYER}/tiles/WebMercatorQuad", LAYER):
            assert web.get(page, headers={"accept": "text/html"}).status_code == 200, page
        assert web.get(f"{LAYER}/tiles/WebMercatorQuad?f=tilejson").status_code == 200
    world.close()
