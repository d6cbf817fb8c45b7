package podman

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// interruptTimeout bounds the time that an interrupted build or check may take to
// end after its processes were killed. After that the connection to podman is closed.
const interruptTimeout = 5 * time.Second

// buildMark identifies the RUN steps of one build among this host's processes.
// Podman before 5.0 does not end a step when its client disconnects, and a step
// that prints then blocks forever on its unread output. The mark is the name of
// a host, which each step finds in its /etc/hosts and which is not part of the
// image.
type buildMark string

func newBuildMark() buildMark {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return buildMark("mcp-build-" + hex.EncodeToString(b[:]))
}

// host returns the mark as an entry for /etc/hosts, with an address that is
// reserved for documentation (RFC 5737).
func (m buildMark) host() string { return string(m) + ":192.0.2.1" }

// secret returns the name in the build context of a secret's file, which podman moves
// out of the context before the build.
func (m buildMark) secret(id string) string { return string(m) + "-" + id }

// watch interrupts the build if ctx ends first. It kills the running step and
// leaves the connection open meanwhile, so that podman ends the build and removes
// its intermediate containers. Where no step runs, it calls disconnect, on which
// podman ends the build. The caller calls done after the build.
func (m buildMark) watch(ctx context.Context, running func() bool, disconnect func()) (done func()) {
	return interrupt(ctx, m.kill, running, disconnect)
}

// interrupt calls kill when ctx ends, and again until the call that it watches has
// ended, for as long as running. It then calls disconnect, which ends the connection
// to podman. The caller calls done after the call.
func interrupt(ctx context.Context, kill func(), running func() bool, disconnect func()) (done func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer disconnect()
		for giveUp := time.Now().Add(interruptTimeout); running() && time.Now().Before(giveUp); {
			kill()
			select {
			case <-ended:
				return
			case <-time.After(pollInterval):
			}
		}
	})
	return func() {
		stop()
		close(ended)
	}
}

// kill kills the processes of the steps. It skips processes that it cannot
// inspect, as where podman runs on another host.
func (m buildMark) kill() { killEach(m.marks) }

// killEach kills the processes of this host that marked reports.
func killEach(marked func(pid int) bool) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// The handle is taken first, so that a later process with this pid is
		// not killed.
		process, err := os.FindProcess(pid)
		if err == nil && marked(pid) {
			_ = process.Kill()
		}
	}
}

// marks reports whether a process has the mark in its /etc/hosts.
func (m buildMark) marks(pid int) bool {
	const hosts = "etc/hosts"
	root, err := os.OpenRoot("/proc/" + strconv.Itoa(pid) + "/root")
	if err != nil {
		return false
	}
	defer func() { _ = root.Close() }()
	// A container may have any kind of file there.
	info, err := root.Lstat(hosts)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	file, err := root.OpenFile(hosts, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 64<<10))
	return err == nil && strings.Contains(string(text), string(m))
}
