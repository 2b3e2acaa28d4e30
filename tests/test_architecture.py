"""The house stands: imports run one way, texts are in both languages, nothing foreign is committed."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.messages import catalogue
from tests.conftest import SLOWEST

HOUSE = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "catalog": set(),
    "layers": {"catalog"},
    "harvesters": {"catalog", "layers"},
    "analysis": {"catalog", "layers"},
    "ogc_server": {"catalog", "layers", "harvesters", "analysis"},
    "cli": {"catalog", "layers", "harvesters", "analysis", "ogc_server"},
}


def _modules(room: str) -> Iterator[Path]:
    yield from (HOUSE / room).rglob("*.py")


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.split(".")[0]


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_run_one_way(room: str) -> None:
    forbidden = set(MAY_IMPORT) - MAY_IMPORT[room] - {room} | {"tests", "benchmarks"}
    against = [
        f"{path.relative_to(HOUSE)}:{line} imports {name}"
        for path in _modules(room)
        for line, name in _imports(path)
        if name in forbidden
    ]
    assert against == []


def test_every_text_is_in_indonesian_and_english_with_the_same_places() -> None:
    wrong = []
    for key, entry in catalogue().items():
        places = [set(re.findall(r"\{(\w+)", entry.get(lang, ""))) for lang in ("id", "en")]
        if set(entry) != {"id", "en"} or not all(entry.values()) or places[0] != places[1]:
            wrong.append(key)
    assert wrong == []


def test_every_text_that_the_code_names_is_in_the_catalogue() -> None:
    known = catalogue()
    pattern = re.compile(r"""(?:\btext|\bsay|\b_|\bt)\(\s*["']([a-z_]+(?:\.[a-z0-9_-]+)+)["']""")
    unknown = [
        f"{path.relative_to(HOUSE)}: {key}"
        for room in MAY_IMPORT
        for path in _modules(room)
        for key in pattern.findall(path.read_text("utf-8"))
        if key not in known
    ]
    assert unknown == []


def test_nothing_of_this_machine_or_of_a_registry_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=HOUSE, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    # spelled in pieces so that this file does not find itself
    bad = re.compile(
        r"https?://[^ \"]+/(?:simple|packages|debian|maven2)/|[\"'= (]/(?:wo" + r"rk|ro" + r"ot)/"
    )
    found = []
    for name in listed.stdout.decode().split("\0"):
        path = HOUSE / name
        if (
            name
            and path.is_file()
            and path.suffix in {".py", ".yml", ".md", ".lock", ".toml", ".sh", ".js", ".html", ""}
        ):
            found += [
                f"{name}:{number}"
                for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1)
                if bad.search(line)
            ]
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(HOUSE))
        for room in MAY_IMPORT
        for path in _modules(room)
        if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_the_files_that_begin_first_are_there() -> None:
    assert [name for name in SLOWEST if not (Path(__file__).parent / name).is_file()] == []
