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

// stepPatience is how long an interrupted build may take to end after its step
// was killed, before podman is left alone with it.
const stepPatience = 5 * time.Second

// buildMark marks the RUN steps of one build. Podman before 5.0 lets a step run
// to its end when the caller has gone, and one that prints then sticks there
// for ever, since nobody reads it. The mark is the name of a host, which each
// step has in its /etc/hosts and which reaches no image; by it the steps are
// found among this host's processes.
type buildMark string

func newBuildMark() buildMark {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return buildMark("mcp-build-" + hex.EncodeToString(b[:]))
}

// host is the mark as podman is told it, with an address that nobody has
// (RFC 5737).
func (m buildMark) host() string { return string(m) + ":192.0.2.1" }

// watch has the build interrupted when ctx ends before it. While the step that
// is under way is being killed, the build's output is still read: podman then
// ends the build, and removes what it made. Hanging up ends it elsewhere: where
// no step runs, podman heeds that itself. Done ends the watch.
func (m buildMark) watch(ctx context.Context, running func() bool, hangUp func()) (done func()) {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer hangUp()
		for giveUp := time.Now().Add(stepPatience); running() && time.Now().Before(giveUp); {
			m.kill()
			select {
			case <-ended:
				return
			case <-time.After(lookPause):
			}
		}
	})
	return func() {
		stop()
		close(ended)
	}
}

// kill kills the processes of the steps. Those that cannot be looked at, as on
// a podman that is not this host's, are left alone.
func (m buildMark) kill() {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// Found before it is looked at, it is not mistaken for a later one.
		process, err := os.FindProcess(pid)
		if err == nil && m.isOn(pid) {
			_ = process.Kill()
		}
	}
}

// isOn reports whether a process has the mark in the /etc/hosts that it sees.
func (m buildMark) isOn(pid int) bool {
	const hosts = "etc/hosts"
	root, err := os.OpenRoot("/proc/" + strconv.Itoa(pid) + "/root")
	if err != nil {
		return false
	}
	defer func() { _ = root.Close() }()
	// A container may have anything there.
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
