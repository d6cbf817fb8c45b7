package parts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// start starts the server once.
func (c *cluster) start(ctx context.Context, dir string, port int, unsafe bool) (*Process, error) {
	if err := c.disownLock(); err != nil {
		return nil, err
	}
	args := []string{
		"-D", c.data(),
		"-c", "listen_addresses=127.0.0.1",
		"-c", "port=" + strconv.Itoa(port),
		// No socket: its path may be too long, and TCP suffices.
		"-c", "unix_socket_directories=",
		"-c", "shared_buffers=32MB",
	}
	if unsafe {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	p, err := Start(Command{
		Name:       "postgres",
		Path:       filepath.Join(c.programs, "postgres"),
		Args:       args,
		Dir:        c.dir,
		LogFile:    logFile(dir),
		Credential: c.user,
		StopSignal: syscall.SIGINT, // "fast": ends sessions rather than wait for them
	})
	if err != nil {
		return nil, err
	}
	if err := p.WaitReady(ctx, func(context.Context) error { return c.ready(p.PID()) }); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// disownLock lets a server start although the lock file of a killed one names a
// process id that another server of the same user now has, as is likely in a
// container. It replaces the id by that of this process, which Postgres ignores
// because it is its parent's. The rest of the file lets Postgres detect processes
// of the old server that still run.
func (c *cluster) disownLock() error {
	note, err := os.ReadFile(c.lockFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read Postgres's lock: %w", err)
	}
	pid, rest, _ := strings.Cut(string(note), "\n")
	arguments, _ := os.ReadFile(filepath.Join("/proc", pid, "cmdline")) // empty if it has ended
	if slices.Contains(strings.Split(string(arguments), "\x00"), c.data()) {
		return nil // the old server itself, still stopping
	}
	if err := os.WriteFile(c.lockFile(), []byte(strconv.Itoa(os.Getpid())+"\n"+rest), 0o600); err != nil {
		return fmt.Errorf("rewrite Postgres's old lock: %w", err)
	}
	return nil
}

// ready reads the status that the server records when it accepts connections, as
// pg_ctl does. The record has the server's process id, so another server on the
// same port is not mistaken for this one.
func (c *cluster) ready(pid int) error {
	note, err := os.ReadFile(c.lockFile())
	if err != nil {
		return err
	}
	lines := strings.Split(string(note), "\n")
	if len(lines) < 8 || lines[0] != strconv.Itoa(pid) || strings.TrimSpace(lines[7]) != "ready" {
		return fmt.Errorf("it does not accept connections yet")
	}
	return nil
}

// contended reports whether a start failed for a temporary reason: processes of
// the last server still run, or its port has just been taken.
func contended(err error) bool {
	for _, sign := range []string{"pre-existing shared memory block", "Address already in use", "lock file \"postmaster.pid\" already exists"} {
		if strings.Contains(err.Error(), sign) {
			return true
		}
	}
	return false
}

func logFile(dir string) string { return filepath.Join(dir, "postgres.log") }
