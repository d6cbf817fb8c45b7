#!/usr/bin/env bash
# Installs the Debian packages that mcp's tests and demo need: podman with its
# container runtime and network tools, Postgres's programs, curl and jq. It first
# prints each package and its purpose, and prints nothing if none is missing. It
# does not install Go: the version and the source are the developer's choice.
set -euo pipefail
cd "$(dirname "$0")/.."

# missing holds lines of "package<TAB>why".
missing=()

# need PACKAGE WHY FILE-OR-COMMAND… records PACKAGE as missing unless one of the
# files or commands exists.
need() {
	local package=$1 why=$2 candidate
	shift 2
	for candidate in "$@"; do
		if [ -e "$candidate" ] || { [[ $candidate != /* ]] && command -v "$candidate" >/dev/null; }; then
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
	need iptables "lets netavark publish ports" iptables
	need postgresql "keeps mcp's tables; mcp dev runs a private server, not the system's" \
		"$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | head -1)" initdb
	need curl "fetches the routes of the demo" curl
	need debian-archive-keyring "checks the packages of which the example applications' images are made" \
		/usr/share/keyrings/debian-archive-keyring.gpg
	need jq "reads a port in docs/getting-started.md, whose commands a test runs" jq
	if [ "$(id -u)" -ne 0 ]; then
		need uidmap "maps users for containers without root" newuidmap
		need slirp4netns "gives containers without root a network" slirp4netns
	fi
}

# as_root runs a command as root, with sudo if necessary.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# listed reports whether apt's package lists contain every package; they are empty
# until they are first fetched.
listed() {
	local package
	for package in "$@"; do
		[ -n "$(apt-cache madison "$package" 2>/dev/null)" ] || return 1
	done
}

# The Postgres package would create a cluster and start a server on port 5432. A
# file in the directory that its configuration includes prevents this during the
# installation.
no_cluster=/etc/postgresql-common/createcluster.d/mcp-setup.conf

forbid_cluster() {
	as_root mkdir -p "${no_cluster%/*}"
	echo 'create_main_cluster = false' | as_root tee "$no_cluster" >/dev/null
	trap 'as_root rm -f "$no_cluster"; as_root rmdir --ignore-fail-on-non-empty "${no_cluster%/*}"' EXIT
}

apt_install() {
	local apt=(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y)
	local packages=("$@")
	if ! listed "${packages[@]}"; then
		"${apt[@]}" update
	fi
	forbid_cluster
	local install=("${apt[@]}" install --no-install-recommends "${packages[@]}")
	# Outdated lists name files that the mirror no longer has.
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
		echo "this script supports apt-get only; install them with this machine's package manager" \
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

# check_go requires the Go version of go.mod, or a Go that can fetch it.
check_go() {
	local wanted found
	wanted=$(sed -n 's/^go //p' go.mod)
	if ! command -v go >/dev/null; then
		echo "Go $wanted or newer is missing: https://go.dev/doc/install" >&2
		exit 1
	fi
	# Go 1.21 or later fetches the version of go.mod here, and reports it on stderr.
	found=$(go env GOVERSION) || found="go0, no version"
	if [[ $found != devel* ]] &&
		[ "$(printf 'go%s\n%s\n' "$wanted" "$found" | sort -V | head -1)" != "go$wanted" ]; then
		echo "Go $wanted or newer is required; found: $found (https://go.dev/doc/install)" >&2
		exit 1
	fi
}

check_go
check_machine
if [ ${#missing[@]} -gt 0 ]; then
	install_missing
fi
