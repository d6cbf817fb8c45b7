#!/usr/bin/env bash
# Compiles the example services on this host, so that their images, FROM scratch,
# need no base image. The version of each program is the tag in its service
# definition.
set -euo pipefail
cd "$(dirname "$0")/.."

# compile SERVICE IMAGE PACKAGE builds examples/src/SERVICE/bin/IMAGE from PACKAGE.
compile() {
	local service=$1 image=$2 package=$3 tag
	tag=$(sed -n "s#^image *= *\"[^\"]*/$image:\([^\"@]*\)\".*#\1#p" "examples/services/$service.toml")
	if [ -z "$tag" ]; then
		echo "examples/services/$service.toml has no image $image with a tag" >&2
		exit 1
	fi
	(cd "examples/src/$service" && CGO_ENABLED=0 GOFLAGS=-buildvcs=false \
		go build -trimpath -ldflags "-s -w -X main.version=$tag" -o "bin/$image" "$package")
}

compile guestbook guestbook-web ./web
compile guestbook guestbook-api ./api
compile hello hello .
