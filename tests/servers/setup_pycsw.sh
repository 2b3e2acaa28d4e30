#!/bin/sh
# Makes the virtual environment in which the test server pycsw runs: it needs SQLAlchemy 1.4, we have 2.
# Versions are pinned. Run from anywhere; does nothing when the environment is there and complete.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
venv="$root/.tools/pycsw"
mark="$venv/.complete-2.6.2"
[ -e "$mark" ] && exit 0
rm -rf "$venv"
"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check \
    setuptools==80.9.0 legacy-cgi==2.6.4 pycsw==2.6.2 SQLAlchemy==1.4.54 waitress==3.0.2 OWSLib==0.28.1 lxml==6.1.3 pyproj==3.8.0 \
    Shapely==2.2.0 geolinks==0.2.3 xmltodict==1.0.4 python-dateutil==4.0.0 pytz==2026.6 PyYAML==6.0.3 \
    requests==2.34.2 numpy==2.5.5
"$venv/bin/python" -W ignore -c "import pycsw.server, waitress"
touch "$mark"
