package apps_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// host is a machine: a network namespace with one interface, whose other end this
// machine has.
type host struct {
	name             string // of the namespace
	link             string // this machine's interface
	address, gateway string
	relays           []net.Listener
}

func newHost() (*host, error) {
	subnet, err := freeSubnet()
	if err != nil {
		return nil, err
	}
	id := strconv.FormatInt(int64(os.Getpid()), 36)
	h := &host{name: "mcpapps" + id, link: "ma" + id, gateway: subnet + ".1", address: subnet + ".2"}
	for _, args := range [][]string{
		{"netns", "add", h.name},
		{"link", "add", h.link, "type", "veth", "peer", "name", "eth0", "netns", h.name},
		{"addr", "add", h.gateway + "/24", "dev", h.link},
		{"link", "set", h.link, "up"},
		{"-n", h.name, "addr", "add", h.address + "/24", "dev", "eth0"},
		{"-n", h.name, "link", "set", "lo", "up"},
		{"-n", h.name, "link", "set", "eth0", "up"},
		{"-n", h.name, "route", "add", "default", "via", h.gateway},
	} {
		if err := ip(args...); err != nil {
			return h, err
		}
	}
	return h, run("nsenter", "--net="+h.netns(), "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
}

func (h *host) netns() string { return "/run/netns/" + h.name }

// boot removes podman's bridges and rules from the host's network, as a boot does.
func (h *host) boot() error {
	links, err := exec.Command("ip", "-n", h.name, "-o", "link", "show", "type", "bridge").Output()
	if err != nil {
		return fmt.Errorf("list the bridges of %s: %w", h.name, err)
	}
	var problems []error
	for line := range strings.Lines(string(links)) { // "3: podman0: <…"
		problems = append(problems, ip("-n", h.name, "link", "del", strings.TrimSuffix(strings.Fields(line)[1], ":")))
	}
	for _, table := range []string{"nat", "filter"} {
		for _, flag := range []string{"--flush", "--delete-chain"} {
			problems = append(problems, run("nsenter", "--net="+h.netns(), "iptables", "--wait", "--table", table, flag))
		}
	}
	return errors.Join(problems...)
}

// remove removes the host, whose processes have ended.
func (h *host) remove() error {
	for _, l := range h.relays {
		_ = l.Close()
	}
	return ip("netns", "del", h.name) // its interface goes with it
}

// relay has the host reach an address of this machine's loopback at the same address.
func (h *host) relay(address string) error {
	listener, err := h.listen(address)
	if err != nil {
		return fmt.Errorf("relay %s: %w", address, err)
	}
	h.relays = append(h.relays, listener)
	go func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			go pass(from, address)
		}
	}()
	return nil
}

// listen listens on an address of the host: a socket belongs to the network namespace of
// the thread that makes it.
func (h *host) listen(address string) (net.Listener, error) {
	type result struct {
		net.Listener
		error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this function
		file, err := os.Open(h.netns())
		if err != nil {
			made <- result{nil, err}
			return
		}
		defer file.Close()
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			made <- result{nil, err}
			return
		}
		l, err := net.Listen("tcp", address)
		made <- result{l, err}
	}()
	r := <-made
	return r.Listener, r.error
}

func pass(from net.Conn, address string) {
	defer from.Close()
	to, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer to.Close()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			_ = pair[0].(*net.TCPConn).CloseWrite()
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}

// freeSubnet returns the prefix of a /24 in which this machine has no address.
func freeSubnet() (string, error) {
	taken, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("list this machine's addresses: %w", err)
	}
candidates:
	for i := range 250 {
		subnet := fmt.Sprintf("10.212.%d", (os.Getpid()+i)%250)
		for _, address := range taken {
			if prefix, err := netip.ParsePrefix(address.String()); err == nil && prefix.Contains(netip.MustParseAddr(subnet+".1")) {
				continue candidates
			}
		}
		return subnet, nil
	}
	return "", errors.New("no free subnet in 10.212.0.0/16")
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
