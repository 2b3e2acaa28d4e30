"""Configuration: what is wrong is told with file, line and the nearest right key."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.config import json_schema, load_settings, load_source, load_sources
from catalog.errors import ConfigError

SOURCE = """\
# yaml-language-server: $schema=../source.schema.json
id: big-batas-desa
type: arcgis
url: https://geoservices.big.go.id/rbi/rest/services/BATAS/MapServer
produsen_data: Badan Informasi Geospasial
schedule: "0 2 * * *"
auth: {token: "${BIG_TOKEN}"}
layers:
  - remote: "0"
    id: batas-desa
    title: {id: Batas Desa dan Kelurahan, en: Village boundaries}
    region_code: {field: KDEPUM, scheme: kemendagri, vintage: 2025}
    rename: {NAMOBJ: nama}
    drop: [SHAPE_Length]
    time: {field: null}
    access: publik
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "sources").mkdir()
    return tmp_path


def write(config: Path, text: str, name: str = "big.yml") -> Path:
    path = config / "sources" / name
    path.write_text(text, "utf-8")
    return path


def complaint(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_source(path)
    return caught.value.message("en")


def test_a_good_source(config: Path) -> None:
    source = load_source(write(config, SOURCE))
    assert source.id == "big-batas-desa"
    assert source.auth == {"token": "${BIG_TOKEN}"}  # still a reference
    layer = source.layers[0]
    assert layer.title is not None
    assert layer.title.en == "Village boundaries"
    assert layer.region_code is not None
    assert layer.region_code.vintage == 2025
    assert load_sources(config) == [source]


@pytest.mark.parametrize(
    ("was", "now", "line", "said"),
    [
        ("produsen_data:", "produsen:", 5, "did you mean `produsen_data`"),
        ("    drop:", "    dropp:", 14, "unknown key `dropp`; did you mean `drop`"),
        ("scheme: kemendagri", "schema: kemendagri", 12, "did you mean `scheme`"),
        ("en: Village", "eng: Village", 11, "did you mean `en`"),
        ("access: publik", "access: public", 16, "did you mean `publik`"),
        ("scheme: kemendagri", "scheme: bpss", 12, "did you mean `bps`"),
        ('remote: "0"', "remote: 0", 9, 'write it in quotes: "0"'),
        ("vintage: 2025", "vintage: dua ribu", 12, "vintage"),
        ('"0 2 * * *"', '"0 2 * *"', 6, "five cron fields"),
        ('"0 2 * * *"', '"0 99 * * *"', 6, "no cron expression"),
        ('"0 2 * * *"', '"0 2 * * senin"', 6, "'senin' is no weekday"),
        ('"${BIG_TOKEN}"', '"s3cr3t-value"', 7, "must be a reference"),
        ("[SHAPE_Length]", "SHAPE_Length", 14, "valid list"),
        ("type: arcgis\n", "type: arcgis\nid: again\n", 4, "stands already on line 2"),
        ("id: batas-desa\n", "id: Batas Desa\n", 10, "pattern"),
        ("id: batas-desa\n", "id: collections\n", 10, "reserved"),
        ("rename: {", "rename: [", 13, "bad YAML"),
        ("https://geoservices", "https://${HOST}", 4, "only understood under `auth`"),
        ("type: arcgis", "\ttype: arcgis", 3, "bad YAML"),
        ("type: arcgis", "type: !!python/object:os.system x", 3, "bad YAML"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(config: Path, was: str, now: str, line: int, said: str) -> None:
    assert was in SOURCE
    path = write(config, SOURCE.replace(was, now, 1))
    message = complaint(path)
    assert said in message
    assert f"{path}:{line}" in message
    assert "s3cr3t-value" not in message


@pytest.mark.parametrize("cron", ["0 2 * * 7", "*/15 6-18 * * mon-fri", "0 2 1 * 0,6"])
def test_crons_own_writings_are_fine(config: Path, cron: str) -> None:
    assert load_source(write(config, SOURCE.replace("0 2 * * *", cron))).schedule == cron


def test_all_that_is_wrong_is_told_at_once_in_order(config: Path) -> None:
    path = write(config, SOURCE.replace("type:", "tipe:").replace("drop:", "dropp:").replace("publik", "x"))
    message = complaint(path)
    lines = [message.index(f"{path}:{line}") for line in (14, 16)]
    assert lines == sorted(lines)
    assert "`type` is missing" in message


@pytest.mark.parametrize("text", ["", "- a\n", "just words", "42"])
def test_a_file_that_is_no_mapping(config: Path, text: str) -> None:
    assert "key: value" in complaint(write(config, text))


def test_a_file_that_is_not_there_or_not_text(config: Path) -> None:
    assert "does not exist" in complaint(config / "none.yml")
    path = config / "sources" / "latin.yml"
    path.write_bytes("id: d\xe9sa".encode("windows-1252"))
    assert "UTF-8" in complaint(path)


def test_a_yaml_bomb_is_refused(config: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "too large" in complaint(write(config, bomb))
    assert "too deep" in complaint(write(config, "a: &a [*a]\n"))


def test_anchors_and_merges_work(config: Path) -> None:
    text = (
        SOURCE
        + '  - {remote: "1", id: batas-kec, rename: &r {A: b}}\n  - {remote: "2", rename: {<<: *r, C: d}}\n'
    )
    assert load_source(write(config, text)).layers[2].rename == {"A": "b", "C": "d"}


def test_ids_are_unique_over_all_files(config: Path) -> None:
    write(config, SOURCE, "a.yml")
    second = write(config, SOURCE, "b.yml")
    with pytest.raises(ConfigError, match=r"`big-batas-desa` stands already in a\.yml") as caught:
        load_sources(config)
    assert str(second) in caught.value.where
    write(config, SOURCE.replace("id: big-batas-desa", "id: other"), "b.yml")
    with pytest.raises(ConfigError, match="collection id `batas-desa`"):
        load_sources(config)
    write(config, SOURCE.replace("id: big-batas-desa", "id: other\nenabled: false"), "b.yml")
    assert [source.id for source in load_sources(config)] == ["big-batas-desa", "other"]


def test_a_collection_stands_once_in_a_file(config: Path) -> None:
    path = write(config, SOURCE + '  - {remote: "1", id: batas-desa}\n')
    assert f"{path}:17" in complaint(path)


def test_paths_count_from_the_file(config: Path) -> None:
    text = SOURCE.replace("type: arcgis", "type: file").replace('"${BIG_TOKEN}"', "file:../token")
    path = write(
        config, text.replace("https://geoservices.big.go.id/rbi/rest/services/BATAS/MapServer", "../a.gpkg")
    )
    source = load_source(path)
    assert source.url == str((config / "a.gpkg").resolve())
    assert source.auth["token"] == f"file:{config.resolve() / 'token'}"


def test_settings(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load_settings(config, config / "data")
    assert defaults.database_url() == f"sqlite:///{config.resolve() / 'data' / 'catalog.sqlite'}"
    monkeypatch.setenv("PGPASSWORD_TEST", "p@ss")
    (config / "satudata.yml").write_text(
        "database: postgresql+psycopg://u:${PGPASSWORD_TEST}@db/satudata\nserver: {title: Satu Data}\n"
        "ckan: {url: 'https://ckan.example', api_key: 'file:ckan-key'}\n",
        "utf-8",
    )
    loaded = load_settings(config, config / "data")
    assert loaded.database_url() == "postgresql+psycopg://u:p@ss@db/satudata"
    assert loaded.server.title.id == "Satu Data"
    assert loaded.ckan is not None
    assert loaded.ckan.api_key == f"file:{config.resolve() / 'ckan-key'}"
    assert (loaded.config_dir, loaded.data_dir) == (config.resolve(), (config / "data").resolve())


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("server:\n  limit_maxx: 5\n", 2, "limit_max"),
        ("harvest:\n\n  retries: -1\n", 3, "harvest.retries"),
        ("scheduler: {timezone: Asia/Cianjur}\n", 1, "Asia/Jakarta"),
        ("scheduler:\n  quiet_hours:\n    - 7-9\n", 3, "HH:MM-HH:MM"),
        ("harvest: {allow_networks: [intranet]}\n", 1, "allow_networks"),
        ("data_dir: /tmp\n", 1, "unknown key `data_dir`"),
        ("database: ${NOT_SET_ANYWHERE}\n", 1, "NOT_SET_ANYWHERE is not set"),
        ("ckan: {url: x, api_key: plain}\n", 1, "reference"),
        ("server: {url: 'http://${HOST}/'}\n", 1, "not understood here"),
    ],
)
def test_wrong_settings(config: Path, text: str, line: int, said: str) -> None:
    (config / "satudata.yml").write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings(config, config)
    message = caught.value.message("en")
    assert said in message
    assert f"satudata.yml:{line}" in message
    assert "plain" not in message


def test_no_configuration_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_settings(tmp_path / "none", tmp_path)


def test_editors_and_loader_agree(config: Path) -> None:
    """The JSON Schema accepts what the loader accepts, and refuses its unknown keys too."""
    schemas = json_schema()
    json.dumps(schemas)
    schema = schemas["source.schema.json"]
    jsonschema.Draft202012Validator.check_schema(schema)
    data = yaml.safe_load(SOURCE)
    jsonschema.validate(data, schema)
    data["layers"][0]["title"] = "Batas Desa"  # one language in short
    jsonschema.validate(data, schema)
    load_source(write(config, yaml.safe_dump(data)))
    mistakes: tuple[dict[str, object], ...] = ({"produser": 1}, {"layers": []}, {"rank": "first"})
    for wrong in mistakes:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**data, **wrong}, schema)
    assert "config_dir" not in schemas["satudata.schema.json"]["properties"]


@settings(max_examples=80)
@given(st.one_of(st.text(max_size=80), st.text(alphabet="ab:-[]{}&*!|>'\"\n #?,%@`", max_size=60)))
def test_any_text_is_a_source_or_a_config_error(config: Path, text: str) -> None:
    path = config / "any.yml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError):
        load_source(path)
