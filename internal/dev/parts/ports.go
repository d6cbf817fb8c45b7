package parts

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// FreePort returns a TCP port of 127.0.0.1 that no process listens on. For a
// minute the kernel does not give it to another process that requests a free
// port.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	// A connection that the listening side closes first leaves the port in
	// TIME_WAIT: the kernel then does not choose it, but a server that names it
	// and sets SO_REUSEADDR, as servers do, can bind it.
	dialed, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("reserve a free port: %w", err)
	}
	defer dialed.Close()
	accepted, err := listener.Accept()
	if err != nil {
		return 0, fmt.Errorf("reserve a free port: %w", err)
	}
	_ = accepted.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// stickyPort chooses the port of 127.0.0.1 that a part listens on: wanted,
// unless it is 0; otherwise the one recorded in dir under name, so that a second
// start keeps the address of the first; otherwise any free one. It records the
// port. A wanted port that is taken is an error here, because the part's readiness
// probe would later reach the process that holds it.
func stickyPort(dir, name string, wanted int) (int, error) {
	file := filepath.Join(dir, name+".port")
	port, known := recordedPort(file)
	var err error
	switch {
	case wanted != 0:
		if err := bindable(wanted); err != nil {
			return 0, fmt.Errorf("listen on the port set for %s: %w", name, err)
		}
		port = wanted
	case known && bindable(port) == nil:
		return port, nil
	default:
		if port, err = FreePort(); err != nil {
			return 0, err
		}
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(port)+"\n"), 0o644); err != nil {
		return 0, fmt.Errorf("record the port of %s: %w", name, err)
	}
	return port, nil
}

// recordedPort reads a port that stickyPort recorded. It ignores a corrupt
// record.
func recordedPort(file string) (int, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return port, err == nil && port > 0
}

// bindable checks that a process can listen on a port of 127.0.0.1.
func bindable(port int) error {
	listener, err := net.Listen("tcp4", loopback(port))
	if err != nil {
		return err
	}
	return listener.Close()
}

// loopback returns the address of a port of 127.0.0.1.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
