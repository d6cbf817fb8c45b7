#!/bin/sh
# Creates the system tables on an empty volume, with the user and the database of
# MARIADB_USER and MARIADB_DATABASE, then runs the server.
set -eu

# secret NAME prints the value of a variable, or what the file named by NAME_FILE has.
secret() {
	eval "value=\${$1:-} file=\${$1_FILE:-}"
	if [ -n "$file" ]; then
		value=$(cat "$file")
	fi
	if [ -z "$value" ]; then
		echo "set $1_FILE, or $1" >&2
		exit 1
	fi
	printf '%s' "$value" | sed "s/[\\\\']/\\\\&/g"
}

data=/var/lib/mysql
if [ "$1" = mariadbd ] && [ ! -e "$data/created" ]; then
	password=$(secret MARIADB_PASSWORD)
	root=$(secret MARIADB_ROOT_PASSWORD)
	# Half a database is what a start has left that was interrupted.
	rm -rf "${data:?}"/*
	mariadb-install-db --datadir="$data" --auth-root-authentication-method=normal --skip-test-db >/dev/null
	mariadbd --bootstrap <<-SQL
		flush privileges;
		create database \`$MARIADB_DATABASE\` character set utf8mb4;
		create user '$MARIADB_USER'@'%' identified by '$password';
		grant all on \`$MARIADB_DATABASE\`.* to '$MARIADB_USER'@'%';
		set password for root@localhost = password('$root');
		create user mysql@localhost identified via unix_socket;
	SQL
	touch "$data/created"
fi
exec "$@"
