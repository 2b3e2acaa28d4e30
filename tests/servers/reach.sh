#!/usr/bin/env bash
# Says by its exit code whether a package registry answers through its ordinary client: reach.sh maven
set -uo pipefail
case "${1:-}" in
  maven) command -v mvn >/dev/null && timeout 120 mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get -Dartifact=junit:junit:4.13.2:pom -Dtransitive=false >/dev/null 2>&1 ;;
  *) exit 2 ;;
esac
