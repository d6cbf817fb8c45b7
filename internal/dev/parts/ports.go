package parts

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// FreePort is a tcp port of 127.0.0.1 that nobody listens on. The kernel does
// not hand it to anybody else who asks for a free port within the next minute.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	// A connection that the listening side closes first leaves the port in
	// TIME_WAIT: the kernel does not choose it then, but whoever names it and
	// sets SO_REUSEADDR, as servers do, can bind it.
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
// unless 0; else the one that was recorded in dir under this name, so that a
// second start is found where the first one was; else any free one. What it
// chose for itself it records. A wanted port that is taken is an error here,
// since later the part's readiness probe would meet the stranger who has it.
func stickyPort(dir, name string, wanted int) (int, error) {
	if wanted != 0 {
		if err := bindable(wanted); err != nil {
			return 0, fmt.Errorf("listen on the port given for %s: %w", name, err)
		}
		return wanted, nil
	}
	file := filepath.Join(dir, name+".port")
	if port, ok := recordedPort(file); ok && bindable(port) == nil {
		return port, nil
	}
	port, err := FreePort()
	if err != nil {
		return 0, err
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(port)+"\n"), 0o644); err != nil {
		return 0, fmt.Errorf("record the port of %s: %w", name, err)
	}
	return port, nil
}

// recordedPort reads a record of stickyPort's; one that is missing or spoilt
// is as good as none.
func recordedPort(file string) (int, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return port, err == nil && port > 0
}

// bindable tells whether a port of 127.0.0.1 can be listened on.
func bindable(port int) error {
	listener, err := net.Listen("tcp4", loopback(port))
	if err != nil {
		return err
	}
	return listener.Close()
}

// loopback is the address of a port of this host.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
