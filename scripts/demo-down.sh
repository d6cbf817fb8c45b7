#!/usr/bin/env bash
# Takes away all that scripts/demo.sh made: the platform's processes, the demo's
# containers and their storage, and .mcp-dev. Says nothing where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -e .mcp-dev ]; then
	exit 0
fi
# What the demo itself put there; mcp removes only what is mcp's.
rm -rf .mcp-dev/services
if [ ! -e .mcp-dev/dev.lock ]; then # the demo was cut off before it started one
	rmdir --ignore-fail-on-non-empty .mcp-dev
	exit 0
fi
# An unmount and a container's end are mcp's to do: rm alone would do neither.
if [ ! -x bin/mcp ]; then
	make build
fi
bin/mcp dev down --dir .mcp-dev --destroy
