#!/usr/bin/env bash
# Installs the real upstream servers that tests use. Says what is missing when it can not.
#   install.sh        Debian packages (as root), pycsw and Koop
#   install.sh full   also CKAN and Solr
set -uo pipefail
cd "$(dirname "$0")/../.."

debian="postgresql-15-postgis-3 cgi-mapserver lighttpd chromium python3-qgis gdal-bin mosquitto r-base-core r-cran-sf"
command -v java >/dev/null || debian="$debian default-jre-headless"
[ "${1:-}" = full ] && debian="$debian redis-server libpq-dev libmagic1 gcc"

absent=""
for package in $debian; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || absent="$absent $package"
done
if [ -n "$absent" ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Debian packages:$absent"
    # Another apt may hold the lock and a mirror may hang: both are waited for, and not for ever.
    patient="-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3"
    timeout 600 apt-get $patient update -qq >/dev/null || echo "apt-get update failed or took longer than 10 minutes" >&2
    DEBIAN_FRONTEND=noninteractive timeout 1800 apt-get $patient install -y -qq --no-install-recommends $absent >/dev/null ||
      echo "MISSING: could not install$absent; tests that need them are SKIPPED"
  else
    echo "MISSING:$absent (run as root on Debian to have them installed); tests that need them are SKIPPED"
  fi
fi

for script in tests/servers/setup_pycsw.sh tests/servers/setup_koop.sh tests/servers/setup_web.sh $([ "${1:-}" = full ] && echo tests/servers/setup_ckan.sh tests/servers/setup_compose.sh); do
  [ -x "$script" ] || continue
  timeout 1800 "$script" || echo "MISSING: $script failed, or took longer than 30 minutes; tests that need it are SKIPPED"
done
exit 0
