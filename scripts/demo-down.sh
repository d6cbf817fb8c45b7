#!/usr/bin/env bash
# Removes everything that scripts/demo.sh created: the platform's processes, the
# demo's containers and their storage, and .mcp-dev. Prints nothing if there is
# no demo.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -e .mcp-dev ]; then
	exit 0
fi
# The demo created this directory; mcp removes only its own files.
rm -rf .mcp-dev/services
if [ ! -e .mcp-dev/dev.lock ]; then # the demo was interrupted before the platform started
	rmdir --ignore-fail-on-non-empty .mcp-dev
	exit 0
fi
# mcp must unmount storage and stop containers first: rm does neither.
if [ ! -x bin/mcp ]; then
	make build
fi
bin/mcp dev down --dir .mcp-dev --destroy
