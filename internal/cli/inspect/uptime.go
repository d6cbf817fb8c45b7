package inspect

import (
	"time"

	"github.com/metacircular/mcp/internal/runtime"
)

// uptime renders the seconds that a container has run; "" for one that does not.
func uptime(state string, seconds int64) string {
	if state != string(runtime.Running) {
		return ""
	}
	return (time.Duration(seconds) * time.Second).String()
}
