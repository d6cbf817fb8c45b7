#!/usr/bin/env bash
# Demonstrates mcp on this machine: starts the local platform in the background,
# deploys two example services and fetches each of their routes, at the node and,
# by hostname, through the edge. All of its files
# are below .mcp-dev; scripts/demo-down.sh removes them. A second run finds the
# platform running and the services unchanged.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly dir=.mcp-dev
readonly registry_port=${REGISTRY_PORT:-5000}
readonly registry=127.0.0.1:$registry_port

# Ignore a developer's settings for another Temporal or mcp.
unset "${!TEMPORAL_@}" "${!MCP_@}"
export MCP_CONFIG=$dir/mcp.toml

heading() {
	if [ -t 1 ]; then
		printf '\n\e[1m%s\e[0m\n' "$*"
	else
		printf '\n== %s\n' "$*"
	fi
}

fail() {
	echo "demo: $*" >&2
	exit 1
}

platform_runs() {
	[ -f "$dir/dev.pid" ] && kill -0 "$(cat "$dir/dev.pid")" 2>/dev/null
}

port_taken() {
	(: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# The example definitions name the image registry by its default address. With
# another port the demo deploys copies with that address.
definitions() {
	if [ "$registry_port" = 5000 ]; then
		echo examples/services
		return
	fi
	mkdir -p "$dir/services"
	local file
	for file in examples/services/*.toml; do
		sed "s#127\.0\.0\.1:5000/#$registry/#" "$file" >"$dir/services/${file##*/}"
	done
	echo "$dir/services"
}

# start_platform starts mcp dev with a directory of definitions.
start_platform() {
	if platform_runs; then
		grep -q "\"$registry\"" "$dir/mcp.toml" ||
			fail "the running platform uses another image registry than $registry; stop it first: make demo-down"
		return
	fi
	if port_taken "$registry_port"; then
		fail "port $registry_port of the demo's image registry is in use; choose another:" \
			"make demo REGISTRY_PORT=$((registry_port + 5))"
	fi
	heading "Starting Temporal, Postgres, an image registry, podman's service and mcp's workers"
	bin/mcp dev --detach --dir "$dir" --registry-port "$registry_port" \
		--workspace examples/src --services "$1"
}

# fetch_routes fetches every route that mcp status lists, and fails if one does
# not answer or if there is none.
fetch_routes() {
	local key value service='' container='' route='' fetched=0 url answer
	while IFS=$'\t' read -r key value; do
		case $key in
		service) service=$value ;;
		container) container=$value ;;
		name) route=$value ;;
		host_port)
			url=http://127.0.0.1:$value/
			answer=$(curl -fsS --max-time 5 "$url") || fail "route $route of $container ($service) does not answer on $url"
			printf '  %-14s %-5s %-24s %s\n' "$container" "$route" "$url" "$answer"
			fetched=$((fetched + 1))
			;;
		esac
	done < <(bin/mcp status --json |
		grep -oE '"(service|container|name|host_port)": *("[^"]*"|[0-9]+)' |
		sed -E 's/^"([a-z_]+)": *"?([^"]*)"?$/\1\t\2/')
	[ "$fetched" -gt 0 ] || fail "mcp status lists no route"
}

# of_edge prints a value of the edge of the running platform.
of_edge() {
	sed -n '/"edge": {/,/}/s/.*"'"$1"'": *"\([^"]*\)".*/\1/p' "$dir/dev.json"
}

# fetch_hostname fetches a hostname through the edge: over http, which redirects to
# https, and over https, with a certificate that the edge's own authority has signed.
fetch_hostname() {
	local host=$1 root http https where answer
	root=$(of_edge root) http=$(of_edge http) https=$(of_edge https)
	[ -n "$https" ] || fail "the platform has no edge"
	http=http://$host:${http##*:}/ https=https://$host:${https##*:}/
	where=$(curl -sS --max-time 5 -o /dev/null -w '%{http_code} %{redirect_url}' "$http") || fail "$http does not answer"
	[ "$where" = "308 $https" ] || fail "$http answers $where, not 308 $https"
	printf '  %-42s redirects to %s\n' "$http" "$https"
	answer=$(curl -fsS --max-time 5 --cacert "$root" "$https") || fail "$https does not answer"
	printf '  %-42s %s\n' "$https" "$answer"
}

start_platform "$(definitions)"
for service in guestbook hello; do
	heading "mcp deploy $service"
	bin/mcp deploy "$service"
done
heading "mcp status"
bin/mcp status
heading "Fetching the routes"
fetch_routes
heading "Fetching the hostnames through the edge"
fetch_hostname guestbook.localhost
fetch_hostname hello.localhost
heading "Where to go from here"
# The platform records the addresses of its parts.
ui=$(sed -n 's/.*"ui": *"\([^"]*\)".*/\1/p' "$dir/dev.json")
cat <<END
  Temporal UI  $ui/namespaces/default/workflows
               one workflow per deploy: open deploy/guestbook
  browse       https://guestbook.localhost:$(of_edge https | sed 's/.*://')
               bin/mcp dev trust shows how to trust its certificate
  try          bin/mcp ps; bin/mcp plan guestbook; bin/mcp help
  again        change a tag in examples/services/guestbook.toml from v1 to v2, then
               make demo: guestbook is built and replaced, hello is unchanged
  stop         make demo-down      removes everything the demo created
END
