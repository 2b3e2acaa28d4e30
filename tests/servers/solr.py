"""A real Solr for CKAN, from Maven Central's jars (`make test-full` brings them to `.tools/solr`)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.servers import free_port, missing

_HERE = Path(__file__).resolve().parent
TOOLS = _HERE.parents[1] / ".tools"


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 90) -> None:
    """Wait until `url` answers 2xx; fail with the log's end when the process dies or time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"{url} did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End one process that we started; by force when it does not go."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(15)
    if process.stdin:
        process.stdin.close()


def _home(folder: Path, schema: Path) -> Path:
    """Lay a Solr home with the one core `ckan`, with CKAN's own schema."""
    conf = folder / "ckan" / "conf"
    conf.mkdir(parents=True)
    (folder / "solr.xml").write_text("<solr/>", "utf-8")
    (folder / "ckan" / "core.properties").write_text("name=ckan\n", "utf-8")
    shutil.copy(schema, conf / "schema.xml")
    shutil.copy(_HERE / "solr_home" / "solrconfig.xml", conf)
    for name in ("stopwords.txt", "synonyms.txt", "protwords.txt"):
        (conf / name).write_text("", "utf-8")
    return folder


@pytest.fixture(scope="session")
def solr() -> Iterator[str]:
    """Yield the address of the core `ckan`."""
    jars = TOOLS / "solr" / "lib"
    java = shutil.which("java") or missing("ckan", "no Java for Solr (apt-get install default-jdk-headless)")
    schema = next((TOOLS / "ckan").glob("lib/python3*/site-packages/ckan/config/solr/schema.xml"), None)
    if schema is None or not jars.is_dir():
        missing("ckan", "no CKAN or Solr in .tools (make test-full brings them)")
    folder, port = Path(tempfile.mkdtemp(prefix="satudata-solr-")), free_port()
    log = folder / "solr.log"
    command = [java, "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Dsolr.log.dir={folder}",
               "-cp", f"{jars}/*", str(_HERE / "solr_home" / "SolrBench.java"),
               str(_home(folder / "home", schema)), str(port)]  # fmt: skip
    url = f"http://127.0.0.1:{port}/solr/ckan"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out, cwd=folder)
    try:
        wait_for(f"{url}/admin/ping", process, log)
        yield url
    finally:
        stop(process)
        shutil.rmtree(folder, ignore_errors=True)
