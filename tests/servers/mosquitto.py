"""Eclipse Mosquitto, a real MQTT broker, on a free loopback port."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import free_port, missing

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
        _wait(port, child)
        yield port
    finally:
        child.terminate()
        child.wait(10)


def passwords(folder: Path, user: str, password: str) -> Path:
    """Make a password file with the broker's own tool."""
    program = shutil.which("mosquitto_passwd", path=":".join(_PLACES))
    if program is None:
        missing("mosquitto", "mosquitto_passwd is not installed")
    path = folder / "passwords"
    subprocess.run([program, "-b", "-c", str(path), user, password], check=True, capture_output=True)
    return path


def _wait(port: int, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until and child.poll() is None:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("mosquitto did not start")
