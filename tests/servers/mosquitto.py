"""Eclipse Mosquitto, a real MQTT broker, on a free loopback port."""

from __future__ import annotations

import getpass
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import end, free_port, listens, missing, until

_PLACES = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/opt/homebrew/sbin")


@contextmanager
def mosquitto(folder: Path, *, password_file: Path | None = None) -> Iterator[int]:
    """Run a broker; yield its port. With a password file, nobody else is let in."""
    program = shutil.which("mosquitto", path=":".join(_PLACES))
    if program is None:
        missing("mosquitto", "the MQTT broker is not installed (Debian: mosquitto)")
    port = free_port()
    lines = [
        f"user {getpass.getuser()}",
        f"listener {port} 127.0.0.1",
        f"allow_anonymous {'false' if password_file else 'true'}",
    ]
    lines += [f"password_file {password_file}"] if password_file else []
    config = folder / f"mosquitto-{port}.conf"
    config.write_text("\n".join([*lines, "persistence false", "log_type error", ""]), "utf-8")
    child = subprocess.Popen(
        [program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: child.poll() is not None or listens(port), "mosquitto")
        assert child.poll() is None, "mosquitto did not start"
        yield port
    finally:
        end(child)


def passwords(folder: Path, user: str, password: str) -> Path:
    """Make a password file with the broker's own tool."""
    program = shutil.which("mosquitto_passwd", path=":".join(_PLACES))
    if program is None:
        missing("mosquitto", "mosquitto_passwd is not installed")
    path = folder / "passwords"
    subprocess.run([program, "-b", "-c", str(path), user, password], check=True, capture_output=True)
    return path
