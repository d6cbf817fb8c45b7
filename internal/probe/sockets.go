package probe

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// acceptor is what has accepted a connection.
type acceptor int

const (
	// elsewhere is a socket in another network namespace: the container's, to which
	// the kernel forwards.
	elsewhere acceptor = iota
	// noOne is a listening socket of this network namespace, from which no process
	// has accepted the connection yet. The monitor of a container has one for each
	// port, to reserve it, and never accepts.
	noOne
	// local is a process in this network namespace, such as a port forwarder.
	local
)

// acceptorOf returns what has accepted a connection of this process. The kernel
// lists both ends of one that stays in this network namespace, and gives an end
// that no process has accepted the inode 0.
func acceptorOf(conn net.Conn) acceptor {
	theirs, ours := addressOf(conn.RemoteAddr()), addressOf(conn.LocalAddr())
	found := elsewhere
	for _, mapped := range []bool{false, true} { // a socket for both protocols lists IPv4 as mapped
		from, to := socketAddress(theirs, mapped), socketAddress(ours, mapped)
		_ = eachSocket("self", len(from) > len("01234567:0123"), func(s socket) bool {
			if s.local != from || s.remote != to {
				return true
			}
			if found = local; s.inode == "0" {
				found = noOne
			}
			return false
		})
	}
	return found
}

// listens reports whether a socket in the network namespace of a process listens on
// a port, and whether that can be known: not if the process is not among those of
// this host, or shares this process's network namespace.
func listens(pid, port int) (listens, known bool) {
	process := strconv.Itoa(pid)
	ours, _ := os.Readlink("/proc/self/ns/net")
	if theirs, err := os.Readlink("/proc/" + process + "/ns/net"); pid <= 0 || err == nil && theirs == ours {
		return false, false
	}
	suffix := fmt.Sprintf(":%04X", port)
	for _, six := range []bool{false, true} {
		err := eachSocket(process, six, func(s socket) bool {
			listens = listens || s.state == stateListen && strings.HasSuffix(s.local, suffix)
			return !listens
		})
		known = known || err == nil
	}
	return listens, known
}

// stateListen is the kernel's TCP_LISTEN.
const stateListen = "0A"

// socket is a line of the kernel's table of TCP sockets (proc_pid_net(5)).
type socket struct{ local, remote, state, inode string }

// eachSocket calls each with the TCP sockets of a process's network namespace, of one
// version of IP, until each returns false.
func eachSocket(process string, six bool, each func(socket) bool) error {
	path := "/proc/" + process + "/net/tcp"
	if six {
		path += "6"
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && !each(socket{fields[1], fields[2], fields[3], fields[9]}) {
			break
		}
	}
	return nil
}

// addressOf returns the address of an end of a TCP connection.
func addressOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	address := tcp.AddrPort()
	return netip.AddrPortFrom(address.Addr().Unmap().WithZone(""), address.Port())
}

// socketAddress returns an address as the table has it: words of the host's byte
// order. Mapped returns the IPv6 form of an IPv4 address.
func socketAddress(a netip.AddrPort, mapped bool) string {
	octets := a.Addr().AsSlice()
	if mapped && a.Addr().Is4() {
		whole := a.Addr().As16()
		octets = whole[:]
	}
	var b strings.Builder
	for ; len(octets) >= 4; octets = octets[4:] {
		fmt.Fprintf(&b, "%08X", binary.NativeEndian.Uint32(octets))
	}
	fmt.Fprintf(&b, ":%04X", a.Port())
	return b.String()
}
