"""Runs inside pycsw's own environment: loads records and serves them.

    python pycsw_run.py FOLDER PORT

FOLDER holds `records/*.xml`; the database and the configuration are made there.
"""

from __future__ import annotations

import configparser
import logging
import sys
from pathlib import Path


def _configuration(folder: Path, port: int) -> Path:
    config = configparser.ConfigParser(interpolation=None)
    url = f"http://127.0.0.1:{port}/"
    config.read_dict(
        {
            "server": {
                "home": ".", "url": url, "mimetype": "application/xml; charset=UTF-8", "encoding": "UTF-8",
                "language": "en-US", "maxrecords": "50", "loglevel": "ERROR",
                "logfile": str(folder / "pycsw.log"), "profiles": "apiso", "pretty_print": "false",
            },
            "manager": {"transactions": "false"},
            "metadata:main": {
                "identification_title": "CSW uji", "identification_abstract": "Catatan yang dibangkitkan",
                "identification_keywords": "uji", "identification_keywords_type": "theme",
                "identification_fees": "None", "identification_accessconstraints": "None",
                "provider_name": "Uji", "provider_url": url, "contact_name": "Uji", "contact_position": "",
                "contact_address": "", "contact_city": "", "contact_stateorprovince": "",
                "contact_postalcode": "", "contact_country": "", "contact_phone": "", "contact_fax": "",
                "contact_email": "uji@example.go.id", "contact_url": url, "contact_hours": "",
                "contact_instructions": "", "contact_role": "pointOfContact",
            },
            "repository": {"database": f"sqlite:///{folder / 'records.db'}", "table": "records"},
            "metadata:inspire": {"enabled": "false"},
        }
    )  # fmt: skip
    path = folder / "pycsw.cfg"
    with path.open("w") as sink:
        config.write(sink)
    return path


def main(folder: Path, port: int) -> None:
    """Load, then serve until ended."""
    import os

    import waitress
    from pycsw.core import admin, config

    logging.basicConfig(level=logging.ERROR)
    path = _configuration(folder, port)
    database = f"sqlite:///{folder / 'records.db'}"
    context = config.StaticContext()
    admin.setup_db(database, "records", str(folder))
    admin.load_records(context, database, "records", str(folder / "records"))
    os.environ["PYCSW_CONFIG"] = str(path)
    from pycsw import wsgi

    waitress.serve(wsgi.application, host="127.0.0.1", port=port, threads=2)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
