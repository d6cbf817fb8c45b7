package machines_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// namespaces are what a machine has of its own.
const namespaces = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC

// machine is a host. It is this machine's kernel and programs, without what its
// administrator has installed of mcp.
type machine struct {
	name, address string
	dir           string // of what it has written
	pid           int    // of its first process, as this machine sees it
	off           func() // ends it
	down          <-chan struct{}
}

// boot starts a machine, whose loopback is its only network.
func boot(dir, name, address string) (*machine, error) {
	m := &machine{name: name, address: address, dir: filepath.Join(dir, name)}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(m.dir, 0o755); err != nil {
		return nil, err
	}
	said, says, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer said.Close()
	var problem bytes.Buffer
	cmd := &exec.Cmd{
		Path: self, Args: []string{"machine", name, m.dir}, Dir: "/", Stdout: says, Stderr: &problem,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: namespaces},
	}
	started, down := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the kernel sends Pdeathsig when the thread ends
		err := cmd.Start()
		_ = says.Close()
		started <- err
		if err == nil {
			_ = cmd.Wait() // it is killed
			close(down)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("make the namespaces of %s: %w", name, err)
	}
	m.pid, m.down = cmd.Process.Pid, down
	m.off = func() {
		_ = cmd.Process.Kill()
		<-down
	}
	if line, _ := bufio.NewReader(said).ReadString('\n'); line != "ready\n" {
		m.off()
		return nil, fmt.Errorf("boot %s: %s", name, &problem)
	}
	return m, nil
}

// plugIn connects the machine to a switch, a machine with a bridge of that name.
func (m *machine) plugIn(to *machine, bridge string) error {
	port := "v-" + m.name
	return errors.Join(
		to.ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(m.pid)),
		to.ip("link", "set", port, "master", bridge, "up"),
		m.ip("addr", "add", m.address+"/24", "dev", "eth0"),
		m.ip("link", "set", "eth0", "up"),
	)
}

// ip changes the machine's network.
func (m *machine) ip(args ...string) error {
	said, err := exec.Command("nsenter", append([]string{"--net=" + m.netns(), "ip"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s on %s: %w: %s", strings.Join(args, " "), m.name, err, bytes.TrimSpace(said))
	}
	return nil
}

func (m *machine) netns() string { return fmt.Sprintf("/proc/%d/ns/net", m.pid) }

// file is the path at which this machine finds a file of the machine.
func (m *machine) file(path string) string { return fmt.Sprintf("/proc/%d/root%s", m.pid, path) }

// shell is lines of bash that root runs on the machine.
func (m *machine) shell(ctx context.Context, lines string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", "--target", strconv.Itoa(m.pid), "--net", "--mount", "--pid", "--uts", "--ipc", "--",
		"env", "--ignore-environment", "HOME=/root", "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
		"bash", "-e", "-o", "pipefail", "-c", lines)
}

// start starts a program that runs as long as the machine, and returns the line with
// which it says that it is ready.
func (m *machine) start(line string) (string, error) {
	cmd := m.shell(context.Background(), "exec "+line)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	var problem bytes.Buffer
	cmd.Stderr = &problem
	if err := cmd.Start(); err != nil {
		return "", err
	}
	read := bufio.NewReader(out)
	said, err := read.ReadString('\n')
	if err != nil {
		_ = cmd.Wait()
		return "", fmt.Errorf("start %s on %s: %s", line, m.name, &problem)
	}
	go func() {
		_, _ = io.Copy(io.Discard, read)
		_ = cmd.Wait()
	}()
	return strings.TrimSpace(said), nil
}

// dial connects from the machine to an address.
func (m *machine) dial(ctx context.Context, address string) (net.Conn, error) {
	return inside(m, func() (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) })
}

// listen listens on an address of the machine.
func (m *machine) listen(address string) (net.Listener, error) {
	return inside(m, func() (net.Listener, error) { return net.Listen("tcp", address) })
}

// inside makes a socket, which belongs to the network of the thread that makes it.
func inside[T any](m *machine, open func() (T, error)) (T, error) {
	type result struct {
		made T
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this function
		var r result
		file, err := os.Open(m.netns())
		if err == nil {
			err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET)
			_ = file.Close()
		}
		if r.err = err; err == nil {
			r.made, r.err = open()
		}
		done <- r
	}()
	r := <-done
	return r.made, r.err
}
