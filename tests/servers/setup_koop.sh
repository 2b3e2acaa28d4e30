#!/usr/bin/env bash
# Installs Koop, the ArcGIS REST server that tests harvest from, into .tools/koop (npm, about 66 MB).
# Optional parts and install scripts are left out: a plain install is five times as large.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=.tools/koop
wanted="@koopjs/koop-core@10.4.19 @koopjs/provider-file-geojson@2.2.0"

[ "$(cat "$folder/.installed" 2>/dev/null || true)" = "$wanted" ] && exit 0
command -v npm >/dev/null || { echo "MISSING: npm (Debian: nodejs npm)"; exit 1; }
mkdir -p "$folder"
cd "$folder"
[ -f package.json ] || echo '{"name": "koop-for-tests", "private": true}' > package.json
echo "Installing Koop into $folder"
# shellcheck disable=SC2086 - the names are separate words
npm install --legacy-peer-deps --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error \
  --fetch-retries=5 $wanted >/dev/null
echo "$wanted" > .installed
