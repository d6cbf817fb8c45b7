#!/bin/sh
# Creates the cluster on an empty volume, with the user and the database of
# POSTGRES_USER and POSTGRES_DB, then runs the server.
set -eu

if [ "$1" = postgres ] && [ ! -e "$PGDATA/created" ]; then
	password=${POSTGRES_PASSWORD:-}
	if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
		password=$(cat "$POSTGRES_PASSWORD_FILE")
	fi
	if [ -z "$password" ]; then
		echo "set POSTGRES_PASSWORD_FILE, or POSTGRES_PASSWORD" >&2
		exit 1
	fi
	user=${POSTGRES_USER:-postgres}
	# Half a cluster is what a start has left that was interrupted.
	rm -rf "${PGDATA:?}"/*
	umask 077
	printf '%s\n' "$password" >/tmp/password
	initdb --username="$user" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 \
		--locale=C.UTF-8 --encoding=UTF8 "$PGDATA"
	rm /tmp/password
	cat >>"$PGDATA/pg_hba.conf" <<-'HBA'
		host all all all scram-sha-256
	HBA
	if [ "${POSTGRES_DB:-$user}" != postgres ]; then
		printf 'create database "%s"\n' "${POSTGRES_DB:-$user}" | postgres --single -D "$PGDATA" postgres >/dev/null
	fi
	touch "$PGDATA/created"
fi
if [ "$1" = postgres ]; then
	set -- "$@" -c listen_addresses='*' -c jit=off
fi
exec "$@"
