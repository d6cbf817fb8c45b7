package dev

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fault"
)

// acquire makes this process the owner of the directory. The kernel releases
// the lock when the process ends, however it ends.
func acquire(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the platform's lock: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		_ = lock.Close()
		return nil, fault.New(fault.Conflict, "mcp dev already runs in %s, as process %s", dir, readPID(dir)).
			WithHint("stop it with mcp dev down --dir %s, or choose another --dir", dir)
	}
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if err := writeFile(filepath.Join(dir, pidName), fmt.Appendln(nil, os.Getpid()), 0o644); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("record the process id: %w", err)
	}
	return lock, nil
}

// release gives up the directory. The lock file stays: a process that has
// already opened it would otherwise lock a file no other process can open.
func release(dir string, lock *os.File) {
	_ = os.Remove(filepath.Join(dir, infoName))
	_ = os.Remove(filepath.Join(dir, pidName))
	_ = lock.Close()
}

// CheckDir fails if a platform's directory is not the caller's or root's, may be
// written to by others, or is a link or contains links: what is in it is written to,
// removed and run. A directory that is missing passes.
func CheckDir(dir string) error {
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := parts.NoLinks(dir); err != nil {
		return err
	}
	if err := config.Ours(dir); err != nil {
		return fault.Wrap(fault.Unauthorized, err, "the directory of the local platform is not used").
			WithHint("choose another: --dir DIR")
	}
	return nil
}

// Exists reports whether there is a platform in dir, running or not.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, lockName))
	return err == nil
}

// Find returns the directory of the nearest platform: the directory name in
// cwd, or in the nearest parent that has one.
func Find(cwd, name string) (dir string, ok bool) {
	for folder := cwd; ; folder = filepath.Dir(folder) {
		if dir = filepath.Join(folder, name); Exists(dir) {
			return dir, true
		}
		if folder == filepath.Dir(folder) {
			return "", false
		}
	}
}

// Running reports whether a platform runs in dir.
func Running(dir string) bool {
	lock, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return false
	}
	defer lock.Close()
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	return errors.Is(err, syscall.EWOULDBLOCK)
}

// Stop stops the platform in dir and waits until it has ended. It reports
// whether one was running.
func Stop(ctx context.Context, dir string) (bool, error) {
	if err := CheckDir(dir); err != nil {
		return false, err // its owner chooses the process
	}
	if !Running(dir) {
		return false, nil
	}
	// The holder of the lock is alive, and records its id as soon as it has it.
	pid, err := strconv.Atoi(readPID(dir))
	if err != nil {
		return true, fmt.Errorf("find the process of mcp dev in %s: %w", dir, err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return true, fmt.Errorf("end process %d of mcp dev: %w", pid, err)
	}
	for Running(dir) {
		select {
		case <-ctx.Done():
			return true, fmt.Errorf("wait for process %d of mcp dev to end: %w", pid, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return true, nil
}

// Await waits until the running platform in dir is ready.
func Await(ctx context.Context, dir string) (Info, error) {
	for {
		info, err := ReadInfo(dir)
		if err == nil {
			return info, nil
		}
		if !Running(dir) {
			return info, fmt.Errorf("mcp dev in %s ended before it was ready", dir)
		}
		select {
		case <-ctx.Done():
			return info, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// readPID returns the recorded process id, for a message or a signal.
func readPID(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, pidName))
	if err != nil {
		return "(unknown)"
	}
	return strings.TrimSpace(string(text))
}
