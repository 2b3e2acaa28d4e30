"""The schemas that editors use are those of the code."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from catalog.config import json_schema

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.mark.parametrize("name", sorted(json_schema()))
def test_the_shipped_schema_is_that_of_the_code(name: str) -> None:
    shipped = json.loads((CONFIG / "schema" / name).read_text("utf-8"))
    assert shipped == json_schema()[name], "run: satudata schema --write config/schema"


@pytest.mark.parametrize("path", sorted((CONFIG / "sources").glob("*.yml")), ids=lambda path: path.stem)
def test_every_shipped_source_fits_the_schema(path: Path) -> None:
    schema = json_schema()["source.schema.json"]
    jsonschema.validate(yaml.safe_load(path.read_text("utf-8")), schema)
