#!/usr/bin/env bash
# Installs what mcp's tests and demo need of the machine: podman with what it
# runs containers by, Postgres' programs, curl and jq. It says what and why before
# it does, and nothing at all when nothing is missing. Go is not installed:
# which one, and from where, is the developer's choice.
set -euo pipefail
cd "$(dirname "$0")/.."

# missing holds lines of "package<TAB>why".
missing=()

# need PACKAGE WHY FILE-OR-COMMAND…: one of the last is enough.
need() {
	local package=$1 why=$2 candidate
	shift 2
	for candidate in "$@"; do
		if [ -x "$candidate" ] || { [[ $candidate != /* ]] && command -v "$candidate" >/dev/null; }; then
			return
		fi
	done
	missing+=("$package"$'\t'"$why")
}

check_machine() {
	# Debian keeps iptables in /usr/sbin, which an ordinary user's PATH lacks.
	PATH=$PATH:/usr/sbin:/sbin
	need podman "builds images and runs containers" podman
	need runc "starts containers where crun refuses to (hybrid cgroups, no CAP_SYS_RESOURCE)" runc
	need netavark "gives containers a network and published ports" \
		/usr/lib/podman/netavark /usr/libexec/podman/netavark netavark
	need aardvark-dns "lets containers find each other by name" \
		/usr/lib/podman/aardvark-dns /usr/libexec/podman/aardvark-dns aardvark-dns
	need iptables "is what netavark publishes ports with" iptables
	need postgresql "keeps mcp's tables; mcp dev runs a private server, not the system's" \
		"$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | head -1)" initdb
	need curl "fetches the routes of the demo" curl
	need jq "reads a port in docs/getting-started.md, which a test plays" jq
	if [ "$(id -u)" -ne 0 ]; then
		need uidmap "maps users for containers without root" newuidmap
		need slirp4netns "gives containers without root a network" slirp4netns
	fi
}

# as_root runs a command as root, by sudo where need be.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# known reports whether apt has heard of every package; it has not on a machine
# whose lists were never fetched.
known() {
	local package
	for package in "$@"; do
		[ -n "$(apt-cache madison "$package" 2>/dev/null)" ] || return 1
	done
}

# The Postgres package would make a cluster and start a server on port 5432. A
# file of our own in the directory that its configuration includes says no, for
# as long as the installation takes.
no_cluster=/etc/postgresql-common/createcluster.d/mcp-setup.conf

forbid_cluster() {
	as_root mkdir -p "${no_cluster%/*}"
	echo 'create_main_cluster = false' | as_root tee "$no_cluster" >/dev/null
	trap 'as_root rm -f "$no_cluster"; as_root rmdir --ignore-fail-on-non-empty "${no_cluster%/*}"' EXIT
}

apt_install() {
	local apt=(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
	local packages=("$@")
	if ! known "${packages[@]}"; then
		"${apt[@]}" update
	fi
	forbid_cluster
	local install=("${apt[@]}" install --no-install-recommends "${packages[@]}")
	# Lists that are too old name files that the mirror no longer has.
	"${install[@]}" || { "${apt[@]}" update && "${install[@]}"; }
}

install_missing() {
	echo "missing on this machine:"
	local line
	for line in "${missing[@]}"; do
		printf '  %-13s %s\n' "${line%%$'\t'*}" "${line#*$'\t'}"
	done
	local packages=("${missing[@]%%$'\t'*}")
	if ! command -v apt-get >/dev/null; then
		echo "this script knows apt-get only; install them with this machine's package manager" \
			"(the names above are Debian's), then run it again" >&2
		exit 1
	fi
	if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
		echo "run as root: apt-get install --no-install-recommends ${packages[*]}" >&2
		exit 1
	fi
	echo "installing with apt-get: ${packages[*]}"
	apt_install "${packages[@]}"
	missing=()
	check_machine
	if [ ${#missing[@]} -gt 0 ]; then
		echo "still missing after the installation: ${missing[*]%%$'\t'*}" >&2
		exit 1
	fi
}

# check_go wants the Go of go.mod, or one that can fetch it by itself.
check_go() {
	local wanted found
	wanted=$(sed -n 's/^go //p' go.mod)
	if ! command -v go >/dev/null; then
		echo "Go $wanted or newer is missing: https://go.dev/doc/install" >&2
		exit 1
	fi
	# A Go of 1.21 or later fetches the one of go.mod here, and says so on stderr.
	found=$(go env GOVERSION) || found="go0, no version"
	if [[ $found != devel* ]] &&
		[ "$(printf 'go%s\n%s\n' "$wanted" "$found" | sort -V | head -1)" != "go$wanted" ]; then
		echo "Go $wanted or newer is needed; the one here says: $found (https://go.dev/doc/install)" >&2
		exit 1
	fi
}

check_go
check_machine
if [ ${#missing[@]} -gt 0 ]; then
	install_missing
fi
