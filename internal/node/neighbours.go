package node

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
)

// notify lists the kernel parameters that make it announce an address whose
// hardware address changes: by gratuitous ARP, and by unsolicited neighbour
// advertisements (Documentation/networking/ip-sysctl.rst).
var notify = []string{"/proc/sys/net/ipv4/conf/all/arp_notify", "/proc/sys/net/ipv6/conf/all/ndisc_notify"}

// NotifyNeighbours makes this host's kernel announce to its containers when their
// gateway's hardware address changes. It lasts until the host's next boot.
//
// A bridge without an assigned hardware address uses the lowest of its ports'
// (later versions of netavark assign one), so the address changes as containers
// start and stop. Without the announcement a container sends to the old address
// until its neighbour table drops the entry, which can take half a minute, and
// its responses, also to health probes, are lost.
func NotifyNeighbours() error {
	for _, setting := range notify {
		text, err := os.ReadFile(setting)
		if errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(string(text)) != "0" {
			continue // a kernel without that protocol, or set already
		}
		if err == nil {
			err = os.WriteFile(setting, []byte("1"), 0)
		}
		if err != nil {
			name := strings.ReplaceAll(strings.TrimPrefix(setting, "/proc/sys/"), "/", ".")
			return fault.Wrap(fault.Unauthorized, err, "set %s", name).
				WithHint("run as root: sysctl -w %s=1", name)
		}
	}
	return nil
}
