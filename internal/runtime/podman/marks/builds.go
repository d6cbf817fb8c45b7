package marks

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Build identifies the RUN steps of one build among this host's processes.
// Podman before 5.0 does not end a step when its client disconnects, and a step
// that prints then blocks forever on its unread output. The mark is the name of
// a host, which each step finds in its /etc/hosts and which is not part of the
// image.
type Build string

// NewBuild returns a mark that no other build has.
func NewBuild() Build {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return Build("mcp-build-" + hex.EncodeToString(b[:]))
}

// Host returns the mark as an entry for /etc/hosts, with an address that is
// reserved for documentation (RFC 5737).
func (m Build) Host() string { return string(m) + ":192.0.2.1" }

// Secret returns the name in the build context of a secret's file, which podman moves
// out of the context before the build.
func (m Build) Secret(id string) string { return string(m) + "-" + id }

// Image returns the local name of an image that only this build needs.
func (m Build) Image(tag string) string { return "localhost/" + string(m) + ":" + tag }

// Watch interrupts the build if ctx ends first. It kills the running step and
// leaves the connection open meanwhile, so that podman ends the build and removes
// its intermediate containers. Where no step runs, it calls disconnect, on which
// podman ends the build. The caller calls done after the build.
func (m Build) Watch(ctx context.Context, running func() bool, disconnect func()) (done func()) {
	return interrupt(ctx, m.Kill, running, disconnect)
}

// Kill kills the processes of the steps.
func (m Build) Kill() { killEach(m.marks) }

// marks reports whether a process has the mark in its /etc/hosts.
func (m Build) marks(pid int) bool {
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
