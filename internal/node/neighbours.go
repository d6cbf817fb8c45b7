package node

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
)

// notify are the kernel's settings that have it announce an address which has
// moved to other hardware: by gratuitous ARP, and by unsolicited neighbour
// advertisements (Documentation/networking/ip-sysctl.rst).
var notify = []string{"/proc/sys/net/ipv4/conf/all/arp_notify", "/proc/sys/net/ipv6/conf/all/ndisc_notify"}

// NotifyNeighbours has this host's kernel tell its containers when their
// gateway's hardware address changes. It lasts until the host's next boot.
//
// A bridge without an address of its own has the lowest of its ports' (netavark
// pins one only in later versions), so it changes as containers come and go. A
// container that is not told goes on sending to the old one: answers under way
// are lost, and so are a health probe's, for as long as its neighbour table
// holds the entry, which can be half a minute.
func NotifyNeighbours() error {
	for _, setting := range notify {
		text, err := os.ReadFile(setting)
		if errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(string(text)) != "0" {
			continue // a kernel without that protocol, or done already
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
