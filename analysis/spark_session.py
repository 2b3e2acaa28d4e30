"""A Spark session for one piece of work, and errors that say what to do without Spark's pages of Java."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from catalog.errors import ConfigError, PublishError, QueryError, RecordError, SatuDataError

_SECONDS = 5.0
_MASTER = re.compile(r"local(\[[\d*]+(,\d+)?\])?|yarn|k8s://.+|spark://(?P<hosts>[^/]+)")
_MARK = "satudata-error:"
_CARRIED: dict[str, type[SatuDataError]] = {e.__name__: e for e in (QueryError, RecordError, ConfigError)}


@contextmanager
def session(master: str, name: str = "satudata") -> Iterator[Any]:
    """Open a SparkSession and stop it at the end.

    What else a cluster needs (memory, addresses, Python of the executors) comes from Spark's own
    configuration (`SPARK_CONF_DIR`, `PYSPARK_PYTHON`). ConfigError when pyspark, Java or the master
    is missing; QueryError for a master that is none.
    """
    check_master(master)
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        hint = "pip install 'satudata-geo[spark]' here and on the executors."
        raise ConfigError("Spark is not installed (pyspark)", where="engine", hint=hint) from None
    _check_java()
    _check_reachable(master)
    try:
        spark = (
            SparkSession.builder.master(master)
            .appName(name)
            .config("spark.ui.enabled", "false")
            .getOrCreate()
        )
    except Exception as error:
        detail = f"Spark did not start ({type(error).__name__})"
        raise ConfigError(detail, where=master, hint="Its own messages are above.") from None
    try:
        spark.sparkContext.setLogLevel("ERROR")
        yield spark
    finally:
        spark.stop()


def check_master(master: str) -> None:
    """Raise QueryError unless it looks like the address of a Spark master."""
    if not _MASTER.fullmatch(master):
        raise QueryError(
            f"not a Spark master: {master!r}",
            where="master",
            hint="For example spark://host:7077 or local[2].",
        )


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    if not shutil.which("java") and not (home and (Path(home) / "bin" / "java").exists()):
        hint = "Install Java 17 or newer, or set JAVA_HOME. On Debian: apt-get install default-jre-headless."
        raise ConfigError("Spark needs Java, and there is none", where="engine", hint=hint)


def _check_reachable(master: str) -> None:
    """Try the door of a standalone master: Spark itself would knock for a minute."""
    match = _MASTER.fullmatch(master)
    if match is None or match["hosts"] is None:
        return
    for address in match["hosts"].split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _SECONDS).close()
        except (OSError, ValueError, OverflowError):
            continue
        return
    raise ConfigError("no Spark master answers", where=master, hint="Is it running, and is the port right?")


def encode_error(error: Exception) -> str:
    """Return a text that survives the way from a worker process to the driver.

    Only our own errors keep their words: those of libraries may quote values of the register.
    """
    kind = type(error).__name__
    known = isinstance(error, SatuDataError) and kind in _CARRIED
    body = [kind, error.detail, error.where] if known and isinstance(error, SatuDataError) else [kind, "", ""]
    return _MARK + json.dumps(body) + ";"


def decode_error(error: Exception, where: str) -> Exception:
    """Return the error that a worker meant; PublishError for what Spark itself could not do."""
    if isinstance(error, SatuDataError):
        return error
    found = re.search(re.escape(_MARK) + r"(\[.*?\]);", str(error))
    if found is None:
        hint = "The logs of the executors tell more. Do they see the files, and have they the same packages?"
        return PublishError(f"Spark could not finish ({type(error).__name__})", where=where, hint=hint)
    kind, detail, place = json.loads(found[1])
    if kind in _CARRIED:
        return _CARRIED[kind](detail, where=place)
    return RecordError(f"unreadable ({kind})", where=where)
