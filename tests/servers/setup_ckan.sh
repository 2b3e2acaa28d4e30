#!/bin/sh
# Brings what the full CKAN bench needs into .tools: CKAN in its own venv (PyPI) and Solr's jars (Maven
# Central). Called by `make test-full`; does nothing when all is there. Needs our .venv (or PYTHON), mvn, a JDK 17+,
# redis-server, PostgreSQL; as root on Debian it installs what is missing.
set -eu
cd "$(dirname "$0")/../.."
here=tests/servers

need() { # need COMMAND PACKAGE...
    command -v "$1" >/dev/null 2>&1 && return 0
    shift
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        DEBIAN_FRONTEND=noninteractive timeout 900 apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 install -y -q --no-install-recommends "$@"
    else
        echo "setup_ckan: missing; please install: $*" >&2
        return 1
    fi
}

need mvn maven
need javac default-jdk-headless
need redis-server redis-server
need gcc gcc libc6-dev
need pg_config libpq-dev
ldconfig -p 2>/dev/null | grep -q libmagic || need libmagic-is-missing libmagic1

pins=$here/ckan-requirements.txt
python=${PYTHON:-$PWD/.venv/bin/python}
[ -x "$python" ] || python=python3.13
if ! cmp -s "$pins" .tools/ckan/.pins; then
    rm -rf .tools/ckan
    "$python" -m venv .tools/ckan
    .tools/ckan/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r "$pins"
    cp "$pins" .tools/ckan/.pins
fi

pom=$here/solr_home/pom.xml
if ! cmp -s "$pom" .tools/solr/.pins; then
    rm -rf .tools/solr
    mkdir -p .tools/solr
    mvn -q -B -f "$pom" dependency:copy-dependencies -DoutputDirectory="$PWD/.tools/solr/lib"
    cp "$pom" .tools/solr/.pins
fi
echo "CKAN bench ready: .tools/ckan, .tools/solr"
