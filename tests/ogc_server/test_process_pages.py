"""Each process has a page in both languages: every input stands there, every example runs on the sample."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ogc_server.processes import handlers
from ogc_server.processes.registry import PROCESSES
from tests.ogc_server.test_processes import cianjur, door
from tests.servers.sample import copied

__all__ = ["cianjur", "door"]
PAGES = Path(handlers.__file__).parent / "about"
HEADS = {
    "id": ["Masukan", "Keluaran", "Metode", "Sumber", "Batasan", "Contoh `curl`", "Contoh QGIS"],
    "en": ["Inputs", "Outputs", "Method", "Sources", "Limits", "Example with `curl`", "Example in QGIS"],
}


@pytest.mark.parametrize("lang", ["id", "en"])
@pytest.mark.parametrize("process", list(PROCESSES))
def test_a_page_tells_all_inputs_and_what_people_need(process: str, lang: str) -> None:
    page = (PAGES / lang / f"{process}.md").read_text("utf-8")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == HEADS[lang]
    for name in PROCESSES[process].inputs(lang):  # type: ignore[arg-type]
        assert f"| `{name}` |" in page
    documented = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert documented == set(PROCESSES[process].model.model_fields)


@pytest.mark.parametrize("process", list(PROCESSES))
def test_the_page_is_served_and_linked(door: httpx.Client, process: str) -> None:
    form = door.get(f"/processes/{process}", headers={"Accept": "text/html"}).text
    assert f"/processes/{process}/about" in form
    for lang, head in (("id", "Batasan"), ("en", "Limits")):
        page = door.get(f"/processes/{process}/about", params={"f": "html", "lang": lang})
        assert page.status_code == 200
        assert f"<h2>{head}</h2>" in page.text
        assert "127.0.0.1:8000" not in page.text, "examples name this server"
    assert door.get("/processes/tidak-ada/about").status_code == 404


@pytest.fixture(scope="module")
def sample(harvested_sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    deployment = copied(harvested_sample, tmp_path_factory.mktemp("contoh"))
    with deployment.serving(workers=1) as base:
        yield base


def commands(page: str) -> list[list[str]]:
    """The `curl` commands of a page, as words."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(line) for line in blocks.splitlines() if line.startswith("curl ")]


@pytest.mark.parametrize("process", list(PROCESSES))
def test_every_example_runs_on_the_sample(sample: str, process: str) -> None:
    both = [commands((PAGES / lang / f"{process}.md").read_text("utf-8")) for lang in ("id", "en")]
    assert both[0] == both[1]
    assert len(both[0]) >= 2
    for words in both[0]:
        [address] = [word for word in words if word.startswith("http")]
        body = words[words.index("-d") + 1]
        got = httpx.post(
            address.replace("http://127.0.0.1:8000", sample), content=body, timeout=60,
            headers={"Content-Type": "application/json"}, trust_env=False,
        )  # fmt: skip
        assert got.status_code == 200, (process, got.text[:300])
        if "f=geojson" in address:
            assert got.json()["features"], process
        else:
            assert got.json(), process
