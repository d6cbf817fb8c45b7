package crash

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// network is a bridge and the hosts on it, each a network namespace.
type network struct {
	name  string // of the bridge, and the prefix of all other names
	hosts []*host
	grown int // how many hosts it has ever had
	// gateway is this machine's address on the bridge.
	gateway string
}

// host is one machine on a network. Its interface and its firewall are its own; its
// processes and its files are this machine's.
type host struct {
	namespace, veth, address string
	// boot is a file with the id of the host's last boot; "" until its first
	// reboot, while it has this machine's.
	boot string
}

// networks serializes newNetwork: each takes the first free addresses.
var networks struct {
	sync.Mutex
	made int
}

// newNetwork makes a bridge with that many hosts. When it fails, remove removes the
// parts that it has made.
func newNetwork(hosts int) (*network, error) {
	networks.Lock()
	defer networks.Unlock()
	networks.made++
	n := &network{name: "mc" + strconv.FormatInt(int64(os.Getpid()), 36) + "." + strconv.Itoa(networks.made)}
	subnet, err := freeSubnet()
	if err != nil {
		return n, err
	}
	n.gateway = subnet + ".1"
	if err := ip("link", "add", n.name, "type", "bridge"); err != nil {
		return n, err
	}
	if err := errors.Join(ip("addr", "add", n.gateway+"/24", "dev", n.name), ip("link", "set", n.name, "up")); err != nil {
		return n, err
	}
	for range hosts {
		if _, err := n.grow(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// grow adds a host.
func (n *network) grow() (*host, error) {
	name := fmt.Sprintf("%s.%d", n.name, n.grown)
	h := &host{namespace: name, veth: name, address: fmt.Sprintf("%s.%d", strings.TrimSuffix(n.gateway, ".1"), 10+n.grown)}
	n.grown++
	n.hosts = append(n.hosts, h)
	return h, n.join(h)
}

// shrink removes a host, on which no process runs any more.
func (n *network) shrink(h *host) error {
	n.hosts = slices.DeleteFunc(n.hosts, func(other *host) bool { return other == h })
	return ip("netns", "del", h.namespace)
}

// join makes a host, and connects it.
func (n *network) join(h *host) error {
	for _, args := range [][]string{
		{"netns", "add", h.namespace},
		{"link", "add", h.veth, "type", "veth", "peer", "name", "eth0", "netns", h.namespace},
		{"link", "set", h.veth, "master", n.name, "up"},
		{"-n", h.namespace, "addr", "add", h.address + "/24", "dev", "eth0"},
		{"-n", h.namespace, "link", "set", "lo", "up"},
		{"-n", h.namespace, "link", "set", "eth0", "up"},
		{"-n", h.namespace, "route", "add", "default", "via", n.gateway},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	// A process sees the kernel's settings of its own namespace.
	path, args := h.inside("/bin/sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
	return run(path, args...)
}

// inside returns the command line that runs a program on the host. It is nsenter,
// because "ip netns exec" hides the cgroups; nsenter execs the program.
func (h *host) inside(program string, args ...string) (string, []string) {
	args = append([]string{program}, args...)
	if h.boot != "" {
		rename := `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`
		args = append([]string{"unshare", "--mount", "sh", "-c", rename, h.boot}, args...)
	}
	return "/usr/bin/nsenter", append([]string{"--net=" + h.netns()}, args...)
}

// reset removes podman's bridges and rules from the host's network, as a boot does.
func (h *host) reset() error {
	links, err := exec.Command("ip", "-n", h.namespace, "-o", "link", "show", "type", "bridge").Output()
	if err != nil {
		return fmt.Errorf("list the bridges of %s: %w", h.namespace, err)
	}
	var problems []error
	for line := range strings.Lines(string(links)) { // "3: podman0: <…"
		problems = append(problems, ip("-n", h.namespace, "link", "del", strings.TrimSuffix(strings.Fields(line)[1], ":")))
	}
	for _, table := range []string{"nat", "filter"} {
		problems = append(problems, h.emptyTable(table))
	}
	return errors.Join(problems...)
}

// emptyTable removes the rules and chains of a table. A program that podman has left
// behind may add a rule in between, which keeps a chain from being deleted.
func (h *host) emptyTable(table string) (err error) {
	for range 50 {
		for _, flag := range []string{"--flush", "--delete-chain"} {
			path, args := h.inside("iptables", "--table", table, flag)
			if err = run(path, args...); err != nil {
				break
			}
		}
		if err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

// netns is the file of the host's network namespace.
func (h *host) netns() string { return "/run/netns/" + h.namespace }

// cut disconnects the host from the network, and plug connects it again.
func (h *host) cut() error  { return ip("link", "set", h.veth, "down") }
func (h *host) plug() error { return ip("link", "set", h.veth, "up") }

// remove removes the network. The processes on its hosts have ended.
func (n *network) remove() error {
	if n == nil {
		return nil
	}
	var problems []error
	for _, h := range n.hosts {
		problems = append(problems, ip("netns", "del", h.namespace)) // its interface goes with it
	}
	return errors.Join(append(problems, ip("link", "del", n.name))...)
}

// freeSubnet returns the prefix of a /24 that no interface of this machine is in.
func freeSubnet() (string, error) {
	taken, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("list this machine's addresses: %w", err)
	}
	var used strings.Builder
	for _, address := range taken {
		fmt.Fprintf(&used, " %s", address)
	}
	for i := range 250 {
		subnet := fmt.Sprintf("10.211.%d", (os.Getpid()+i)%250)
		if !strings.Contains(used.String(), " "+subnet+".") {
			return subnet, nil
		}
	}
	return "", errors.New("no free subnet in 10.211.0.0/16")
}

func ip(args ...string) error { return run("ip", args...) }

// run runs a command. The error has its output.
func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
