#!/bin/sh
# Runs once, when the database volume is empty: one role and database for us, two databases for CKAN.
set -eu

psql -v ON_ERROR_STOP=1 --username postgres --dbname postgres \
    -v satudata="$SATUDATA_DB_PASSWORD" -v ckan="$CKAN_DB_PASSWORD" <<'SQL'
CREATE ROLE satudata LOGIN PASSWORD :'satudata';
CREATE ROLE ckan LOGIN PASSWORD :'ckan';
CREATE ROLE datastore_ro LOGIN PASSWORD :'ckan';
CREATE DATABASE satudata OWNER satudata ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE ckan OWNER ckan ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE datastore OWNER ckan ENCODING 'UTF8' TEMPLATE template0;
REVOKE CONNECT ON DATABASE satudata, ckan FROM PUBLIC;
\connect satudata
CREATE EXTENSION IF NOT EXISTS postgis;
SQL
