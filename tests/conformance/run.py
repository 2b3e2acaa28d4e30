"""`make conformance`: OGC's official Features suite against our server, and our abstract tests.

The suite (TEAM Engine, Java 17) comes from Maven Central into `.tools/ets`. It is run on the real
Cianjur data. Where the registry does not give the suite, that is said aloud and our abstract tests, which
follow it, are all there is; SATUDATA_REQUIRE=ets (by name) makes that a failure. Exit code 0: no failure.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.ogc_server.conftest import running
from tests.ogc_server.world import World, fill, make_settings, open_world

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools" / "ets"
SUITE = "org.opengis.cite:ets-ogcapi-features10:1.9:jar:aio"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


def main() -> int:
    """Run both and say how it went."""
    abstract = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(ROOT / "tests" / "conformance")], cwd=ROOT
    )
    jar = suite()
    if isinstance(jar, str):
        print(f"NOT RUN: OGC's suite {SUITE}: {jar}")
        required = "ets" in os.environ.get("SATUDATA_REQUIRE", "").split(",")
        return 1 if abstract.returncode or required else 0
    with tempfile.TemporaryDirectory() as folder:
        world = open_world(make_settings(Path(folder)))
        try:
            fill(world, data())
            failed = run_suite(jar, world, Path(folder) / "out")
        finally:
            world.close()
    return 1 if failed or abstract.returncode else 0


def data() -> Path:
    """Return the folder of the real data."""
    return Path(os.environ.get("SATUDATA_SHARED", ROOT.parent / "shared")) / "data"


def suite() -> Path | str:
    """Return the suite's jar, fetched once; or why it can not be had."""
    found = sorted(TOOLS.glob("ets-ogcapi-features10-*-aio.jar"))
    if found:
        return found[-1]
    for command in ("mvn", "java"):
        if shutil.which(command) is None:
            return f"no {command} here"
    TOOLS.mkdir(parents=True, exist_ok=True)
    fetch = ["mvn", "-U", "-q", "-B", PLUGIN, f"-Dartifact={SUITE}", f"-DoutputDirectory={TOOLS}"]
    done = subprocess.run(fetch, capture_output=True, text=True, timeout=600, cwd=TOOLS)
    found = sorted(TOOLS.glob("ets-ogcapi-features10-*-aio.jar"))
    if done.returncode == 0 and found:
        return found[-1]
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    return "the registry does not have it" if "Could not find artifact" in said else said.strip()[:300]


def run_suite(jar: Path, world: World, out: Path) -> int:
    """Serve the world, run the suite on it, print a summary; return the number of failures."""
    out.mkdir(parents=True)
    with running(world) as url:
        properties = out / "props.xml"
        # No DOCTYPE: the suite's parser refuses one.
        properties.write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n<properties version="1.0">\n'
            f'<entry key="iut">{url}/</entry>\n<entry key="noofcollections">-1</entry>\n</properties>\n'
        )
        subprocess.run(
            ["java", "-jar", str(jar), "-o", str(out), "-h", "true", str(properties)], cwd=out, check=False
        )
    results = sorted(out.rglob("testng-results.xml"))
    if not results:
        print("the suite left no result")
        return 1
    return summary(results[-1])


def summary(results: Path) -> int:
    """Print what passed, failed and was skipped; return the number of failures."""
    tree = ET.parse(results)
    print("OGC suite:", {key: tree.getroot().get(key) for key in ("passed", "failed", "skipped", "total")})
    for method in tree.iter("test-method"):
        if method.get("status") == "FAIL":
            said = method.findtext(".//message") or ""
            print(f"FAILED {method.get('name')}: {' '.join(said.split())[:300]}")
    return int(tree.getroot().get("failed") or 0)


if __name__ == "__main__":
    sys.exit(main())
