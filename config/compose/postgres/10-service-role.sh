#!/bin/sh
# The role as which workers and stations connect. It owns nothing; `labtrail migrate` gives it its rights.
# Run once by the postgres image, when the database is empty.
set -eu
psql --no-psqlrc --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
	--set=password="$(cat "${SERVICE_PASSWORD_FILE:-/run/secrets/service_password}")" <<'SQL'
CREATE ROLE labtrail_service LOGIN PASSWORD :'password' CONNECTION LIMIT 90;
REVOKE ALL ON DATABASE labtrail FROM PUBLIC;
GRANT CONNECT ON DATABASE labtrail TO labtrail_service;
ALTER ROLE labtrail_service IN DATABASE labtrail SET lock_timeout = '60s';
SQL
