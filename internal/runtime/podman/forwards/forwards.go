// Package forwards removes the rules of the firewall that podman has lost track of.
package forwards

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// timeout bounds each call of iptables.
const timeout = 5 * time.Second

// Remove removes the rules by which podman's netavark forwards the ports of a container
// that does not run. There are some if podman was killed while it started a container: it
// loses track of them, they come before those of the next start, and they lead to an
// address that no container has. If there is no iptables, or no right to use it, Remove
// does nothing: podman has no such rules then, or none that could be removed.
func Remove(ctx context.Context, ports []servicedef.Port) {
	if len(ports) == 0 || os.Geteuid() != 0 {
		return
	}
	rules, err := iptables(ctx, "-S")
	if err != nil {
		return
	}
	for _, rule := range of(rules, ports) {
		_, _ = iptables(ctx, append([]string{"-D"}, rule...)...) // another caller may have removed it
	}
}

// iptables runs iptables on the table of address translation.
func iptables(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	program, err := exec.LookPath("iptables")
	if err != nil {
		program = "/usr/sbin/iptables" // which the path of a service may lack
	}
	out, err := exec.CommandContext(ctx, program, append([]string{"-w", "2", "-t", "nat"}, args...)...).Output()
	return string(out), err
}

// of returns those rules of netavark's chains, as iptables -S lists them, that lead
// from one of the ports to a container, without their "-A".
func of(rules string, ports []servicedef.Port) [][]string {
	var found [][]string
	for line := range strings.Lines(rules) {
		rule := strings.Fields(line)
		if len(rule) < 2 || rule[0] != "-A" || !strings.HasPrefix(rule[1], "NETAVARK-DN-") || option(rule, "-j") != "DNAT" {
			continue
		}
		leads := func(p servicedef.Port) bool {
			at, _, _ := strings.Cut(option(rule, "-d"), "/")
			return option(rule, "--dport") == strconv.Itoa(p.Host) && option(rule, "-p") == p.Protocol && at == p.IP
		}
		if slices.ContainsFunc(ports, leads) {
			found = append(found, rule[1:])
		}
	}
	return found
}

// option returns the word that follows an option of a rule; "" if the rule does not have
// it.
func option(rule []string, name string) string {
	if i := slices.Index(rule, name); i >= 0 && i+1 < len(rule) {
		return rule[i+1]
	}
	return ""
}
