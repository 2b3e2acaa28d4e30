#!/usr/bin/env bash
# Installs Leaflet and OpenLayers, whose examples in the docs are run in a browser, into .tools/web (npm).
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=.tools/web
wanted="leaflet@1.9.4 ol@10.6.1"

[ "$(cat "$folder/.installed" 2>/dev/null || true)" = "$wanted" ] && exit 0
command -v npm >/dev/null || { echo "MISSING: npm (Debian: nodejs npm)"; exit 1; }
mkdir -p "$folder"
cd "$folder"
[ -f package.json ] || echo '{"name": "web-for-tests", "private": true}' > package.json
echo "Installing Leaflet and OpenLayers into $folder"
# shellcheck disable=SC2086 - the names are separate words
npm install --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error \
  --fetch-retries=5 $wanted >/dev/null
echo "$wanted" > .installed
