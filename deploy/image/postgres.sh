#!/bin/sh
# Starts PostgreSQL; with an empty folder it makes the database first and runs what is
# in /docker-entrypoint-initdb.d. Of the official image's entrypoint this is what the
# Helm chart's trial database uses.
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	printf %s "$POSTGRES_PASSWORD" | initdb --username=postgres --pwfile=/dev/stdin --auth-local=trust --auth-host=scram-sha-256 \
		--encoding=UTF8 --locale=C -D "$PGDATA"
	echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
	echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
	pg_ctl -D "$PGDATA" -w -o "-c listen_addresses=''" start
	for script in /docker-entrypoint-initdb.d/*.sh; do
		. "$script"
	done
	pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec postgres -D "$PGDATA"
