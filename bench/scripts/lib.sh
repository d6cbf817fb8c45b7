# Shared by the other scripts. They do the work without mcp, as an operator with
# ssh and podman would write it, and no slower than necessary.
set -euo pipefail

# serves URL waits until it answers with 200.
serves() {
	until curl -fsS -o /dev/null "$1" 2>/dev/null; do sleep 0.01; done
}
