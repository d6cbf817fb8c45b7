package naming

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/plan/leads"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

// hostsKey returns the key of a container's file, by its labels. They are input: the key is a
// hash, and no path.
func hostsKey(labels map[string]string) string {
	sum := sha256.New()
	for _, label := range []string{
		runtime.LabelComponent, runtime.LabelDeployment, runtime.LabelRun, runtime.LabelSpec, runtime.LabelTask, runtime.LabelAddress,
	} {
		fmt.Fprintf(sum, "%q", labels[label])
	}
	return hex.EncodeToString(sum.Sum(nil)[:12])
}

// hostsText returns the file of a container: what the engine would write into it, and the
// names.
func hostsText(service string, own netip.Addr, id string, gateway netip.Addr, to []leads.Lead, extra string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "# mcp keeps the names of service %s here.\n127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n", service)
	if gateway.IsValid() {
		fmt.Fprintf(&text, "%s host.containers.internal host.docker.internal\n", gateway)
	}
	for line := range strings.SplitSeq(extra, ";") { // a label, and so input
		address, name, _ := strings.Cut(line, " ")
		if _, err := netip.ParseAddr(address); err == nil && !strings.ContainsAny(name, " \t\r\n#") {
			fmt.Fprintf(&text, "%s %s\n", address, name)
		}
	}
	for _, lead := range to {
		names := slices.DeleteFunc(slices.Clone(lead.Names), func(name string) bool { return name == "localhost" })
		fmt.Fprintf(&text, "%s %s\n", lead.Address, strings.Join(names, " "))
	}
	if len(id) >= shortID { // the container's own name, if the definition gives it none
		fmt.Fprintf(&text, "%s %s\n", own, id[:shortID])
	}
	return text.String()
}

// extraHosts returns the lines of a definition: those of extra_hosts, and the container's
// own name.
func extraHosts(c servicedef.Container, own, gateway netip.Addr) string {
	var lines []string
	if c.Hostname != "" {
		lines = append(lines, own.String()+" "+c.Hostname)
	}
	for _, text := range c.ExtraHosts {
		name, address := servicedef.ExtraHost(text)
		if _, err := netip.ParseAddr(address); err != nil {
			address = gateway.String() // of the host
		}
		lines = append(lines, address+" "+name)
	}
	return strings.Join(lines, ";")
}

// shortID is the length of the id that is the hostname of a container.
const shortID = 12

// mountsHosts reports whether volumes mount an /etc/hosts of their own.
func mountsHosts(volumes []string) bool {
	return slices.ContainsFunc(volumes, func(v string) bool {
		parts := strings.Split(v, ":")
		return len(parts) > 1 && parts[1] == "/etc/hosts"
	})
}
