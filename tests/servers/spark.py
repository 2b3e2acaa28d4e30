"""A real Spark standalone master with two workers on loopback, each with one core and one executor."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.servers import PATIENCE, end, free_port, missing
from tests.servers.ours import HOUSE

_DEFAULTS = """
spark.driver.host 127.0.0.1
spark.driver.bindAddress 127.0.0.1
spark.driver.memory 512m
spark.executor.memory 512m
spark.ui.enabled false
spark.ui.showConsoleProgress false
spark.task.maxFailures 1
spark.sql.shuffle.partitions 2
spark.driver.extraJavaOptions {java}
spark.executor.extraJavaOptions {java}
"""

# Short lives: start at once rather than run fast; the jars are pyspark's own, so their code is not checked.
_JAVA = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)


@dataclass(frozen=True)
class Spark:
    """A running cluster: its address, and the environment that its users need."""

    master: str
    environment: dict[str, str]
    _status: str

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(self._status, timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


def spark_home() -> Path:
    """Where pyspark keeps its jars; a skip that says why when there is no Spark here."""
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        missing("spark", "pip install 'pyspark[sql]'")
    if shutil.which("java") is None:
        missing("spark", "apt-get install default-jre-headless")
    return Path(found.origin).parent


@contextmanager
def cluster() -> Iterator[Spark]:
    """Start master and workers, wait until both are registered, stop them by their process ids."""
    home, folder = spark_home(), Path(tempfile.mkdtemp(prefix="satudata-spark-"))
    (folder / "spark-defaults.conf").write_text(_DEFAULTS.format(java=_JAVA), "utf-8")
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_CONF_DIR": str(folder),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": _JAVA,
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(HOUSE),
        "PYTHONWARNINGS": "default",
    }
    port, page = free_port(), free_port()
    running = Spark(f"spark://127.0.0.1:{port}", environment, f"http://127.0.0.1:{page}/json/")
    local = ["--host", "127.0.0.1", "--webui-port"]
    commands = [["master.Master", *local, str(page), "--port", str(port)]]
    for number in (1, 2):
        worker = ["worker.Worker", *local, str(free_port()), "--cores", "1", "--memory", "600m"]
        commands.append([*worker, "--work-dir", str(folder / f"work-{number}"), running.master])
    children: list[subprocess.Popen[bytes]] = []
    try:
        with (folder / "spark.log").open("ab") as log:
            for command in commands:
                whole = [
                    str(home / "bin" / "spark-class"),
                    f"org.apache.spark.deploy.{command[0]}",
                    *command[1:],
                ]
                children.append(subprocess.Popen(whole, env=environment, stdout=log, stderr=log, cwd=folder))
        _wait(running, children, folder / "spark.log")
        yield running
    finally:
        for child in reversed(children):
            end(child)  # a worker's own exit stops its executor
        shutil.rmtree(folder, ignore_errors=True)


def _wait(running: Spark, children: list[subprocess.Popen[bytes]], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and all(child.poll() is None for child in children):
        try:
            if running.state()["aliveworkers"] == 2:
                return
        except (OSError, ValueError):  # not up yet, or up and still with a page in the place of JSON
            pass
        time.sleep(0.2)
    raise AssertionError(f"Spark did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")
