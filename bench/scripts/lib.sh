# What the other scripts share. They are the work without mcp: what somebody who
# has ssh and podman would write, and no slower than need be.
set -euo pipefail

# serves URL waits until it answers with 200.
serves() {
	until curl -fsS -o /dev/null "$1" 2>/dev/null; do sleep 0.01; done
}
