"""A server starts with what every server needs: the rest is imported when somebody asks for it."""

from __future__ import annotations

import subprocess
import sys

SELDOM = ("pandas", "scipy", "ortools", "reportlab", "openpyxl", "psycopg", "pygeofilter.parsers", "pyspark")
"""Half of the memory and of the seconds of a start, until they were left to those who use them."""


def test_what_few_servers_need_is_not_loaded_at_the_start() -> None:
    told = f"import sys, ogc_server.app; print([name for name in {SELDOM} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
