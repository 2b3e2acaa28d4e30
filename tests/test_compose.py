"""docker-compose.yml and what it mounts hold together; the real docker-compose reads it (in CI)."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
import yaml

from catalog.config import load_settings
from catalog.store import Catalog
from layers.open import open_store
from tests.servers import missing
from tests.servers.postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docker-compose.yml"
SECRETS = ["POSTGRES_PASSWORD", "SATUDATA_DB_PASSWORD", "CKAN_DB_PASSWORD", "CKAN_SECRET",
           "CKAN_SYSADMIN_PASSWORD"]  # fmt: skip


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def test_every_part_is_there(services: dict[str, dict[str, Any]]) -> None:
    assert services.keys() == {"db", "server", "scheduler", "nginx", "ckan", "solr", "redis"}


def test_what_is_waited_for_can_tell_that_it_is_healthy(services: dict[str, dict[str, Any]]) -> None:
    waits = [(s, d) for s in services.values() for d in s.get("depends_on", {}).items()]
    assert len(waits) >= 6
    for _, (name, how) in waits:
        assert how == {"condition": "service_healthy"}
        assert services[name]["healthcheck"]["test"]


def test_mounts_exist_and_volumes_are_declared(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    sources = [v.split(":")[0] for s in services.values() for v in s.get("volumes", [])]
    assert [s for s in sources if s.startswith("./")]
    for source in sources:
        assert (ROOT / source).exists() if source.startswith("./") else source in compose["volumes"]


def test_images_are_pinned_and_nothing_listens_to_the_world(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        image = service["image"]
        assert re.search(r":(\$\{\w+:-)?\w*\d|:local$", image), image
        assert ":latest" not in image
        for port in service.get("ports", []):
            assert port.startswith("${BIND:-127.0.0.1}:")


def test_no_secret_stands_in_the_file_and_none_may_be_forgotten() -> None:
    text = FILE.read_text("utf-8")
    example = (ROOT / "deploy" / "env.example").read_text("utf-8")
    for name in SECRETS:
        assert f"${{{name}:?" in text
        assert f"\n{name}=\n" in f"\n{example}"
    for line in text.splitlines():
        if re.search(r"^\s+\w*(PASSWORD|SECRET|KEY)\w*:", line) and "${" not in line:
            pytest.fail(f"a secret in the file: {line.strip()}")


def test_commands_are_commands_of_ours(services: dict[str, dict[str, Any]]) -> None:
    from cli.main import main

    for name in ("server", "scheduler"):
        command, *arguments = services[name]["command"]
        with click.Context(main) as context:
            found = main.get_command(context, command)
            assert found is not None
            found.make_context(command, list(arguments), parent=context)


def test_settings_load_and_agree_with_the_file(compose: dict[str, Any], tmp_path: Path) -> None:
    settings = load_settings(ROOT / "deploy" / "config", tmp_path)
    subnet = re.search(r"[\d./]+/\d+", compose["networks"]["default"]["ipam"]["config"][0]["subnet"])
    assert subnet is not None
    assert settings.server.trusted_proxies == [subnet[0]]
    assert settings.ckan is not None
    assert settings.ckan.api_key == "${CKAN_API_KEY}"
    assert "@db/" in settings.database_url()
    assert "@db/" in str(settings.layers)


def test_nginx_leads_to_services_on_the_ports_they_have(services: dict[str, dict[str, Any]]) -> None:
    conf = (ROOT / "deploy" / "nginx" / "nginx.conf").read_text("utf-8")
    targets = re.findall(r"http://(\w+):(\d+);", conf)
    assert sorted(name for name, _ in targets) == ["ckan", "server"]
    for name, port in targets:
        assert services[name]["expose"] == [port]
    listens = set(re.findall(r"listen (\d+);", conf))
    assert listens == {p.rsplit(":", 1)[1] for p in services["nginx"]["ports"]}


def test_the_image_copies_what_is_there_and_nothing_else_enters_the_build() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text("utf-8").splitlines()
    copied = {
        n for line in lines if line.startswith("COPY ") and "--from" not in line for n in line.split()[1:-1]
    }
    let_in = {n[1:] for n in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if n.startswith("!")}
    assert copied == let_in
    for name in copied:
        assert (ROOT / name).exists()
    packages = {p.name for p in ROOT.iterdir() if (p / "__init__.py").exists()} - {"tests", "benchmarks"}
    assert packages <= copied


# -- the database script, on a real PostgreSQL -----------------------------------------------------


@pytest.fixture
def made(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """A cluster on which the compose file's first-start script has run."""
    psql = subprocess.run(["which", "psql"], capture_output=True)
    if psql.returncode:
        missing("postgres", "no psql (apt-get install postgresql-client)")
    places = {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port)}
    words = {"SATUDATA_DB_PASSWORD": "a'b\"c $(x)", "CKAN_DB_PASSWORD": "d"}
    script = ROOT / "deploy" / "postgres" / "10-databases.sh"
    done = subprocess.run(["sh", str(script)], env={**os.environ, **places, **words}, capture_output=True)
    try:
        assert done.returncode == 0, done.stderr.decode()
        yield postgres
    finally:
        with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
            for name in (b"satudata", b"ckan", b"datastore"):
                connection.execute(b"DROP DATABASE IF EXISTS " + name + b" WITH (FORCE)")
            for role in (b"satudata", b"ckan", b"datastore_ro"):
                connection.execute(b"DROP ROLE IF EXISTS " + role)


def test_the_first_start_makes_databases_that_we_and_ckan_can_use(made: Postgres) -> None:
    def url(role: str, database: str) -> str:
        return f"postgresql://{role}@127.0.0.1:{made.port}/{database}"

    with Catalog.open(url("satudata", "satudata").replace("://", "+psycopg://")) as catalog:
        assert catalog.datasets.ids() == []
    settings = load_settings(ROOT / "deploy" / "config", ROOT / "data")
    store = open_store(settings.model_copy(update={"layers": url("satudata", "satudata")}))
    with closing(store):
        assert store.stages() == []
    with psycopg.connect(url("ckan", "datastore")) as connection:
        connection.execute("CREATE TABLE t (id int)")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(url("ckan", "satudata"))


# -- the real docker-compose -----------------------------------------------------------------------


def check(file: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    binary = next(
        (ROOT / ".tools" / "compose").glob("lib/python3*/site-packages/compose/docker-compose"), None
    )
    if binary is None:
        missing("compose", "no docker-compose (tests/servers/setup_compose.sh, in CI)")
    command = [str(binary), "--project-directory", str(ROOT), "--env-file", "/dev/null", "-f", str(file)]
    return subprocess.run([*command, "config", "-q"], env=environment, capture_output=True, text=True)


@pytest.mark.full
def test_docker_compose_reads_the_file(tmp_path: Path) -> None:
    given = dict.fromkeys(SECRETS, "x")
    assert (check(FILE, **given).returncode, check(FILE, **given).stderr) == (0, "")


@pytest.mark.full
def test_docker_compose_refuses_a_forgotten_password_and_a_wrong_key(tmp_path: Path) -> None:
    for name in SECRETS:
        forgotten = check(FILE, **{s: "x" for s in SECRETS if s != name})
        assert forgotten.returncode != 0
        assert name in forgotten.stderr
    wrong = tmp_path / "docker-compose.yml"
    wrong.write_text(FILE.read_text("utf-8").replace("    healthcheck:", "    healthchek:", 1), "utf-8")
    assert check(wrong, **dict.fromkeys(SECRETS, "x")).returncode != 0
