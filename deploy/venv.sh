#!/usr/bin/env bash
# Makes or updates a virtual environment from a hashed lock: venv.sh VENV LOCK
# Uses Python 3.13 from pyenv, uv or the system, whichever is there.
set -euo pipefail
venv=$1 lock=$2

python313() {
  for candidate in python3.13 python3 python; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] < (3, 13))' 2>/dev/null; then
      echo "$candidate"; return
    fi
  done
}

if [ ! -x "$venv/bin/python" ]; then
  python=$(python313)
  if [ -n "$python" ]; then "$python" -m venv "$venv"
  elif command -v uv >/dev/null; then uv venv --seed --python 3.13 "$venv"
  else
    echo "Python 3.13 tidak ditemukan; pasang dengan 'pyenv install 3.13' atau 'uv python install 3.13'." >&2
    echo "Python 3.13 was not found; install it with 'pyenv install 3.13' or 'uv python install 3.13'." >&2
    exit 2
  fi
fi
echo "Memasang dependensi / installing dependencies ($lock) ..."
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
