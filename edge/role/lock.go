package role

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockName is the file that the process which receives publications has locked. It
// holds that process's id.
const lockName = "lock"

// lockEvery is how often a process tries to lock the directory, and lockWarning the
// time after which it logs that it waits.
const (
	lockEvery   = 20 * time.Millisecond
	lockWarning = 10 * time.Second
)

// acquire locks the directory of an edge, and returns when the former process has
// released it: that process does so when this one has taken its sockets. The kernel
// releases the lock of a process that ends, however it ends.
func acquire(ctx context.Context, data string, log *slog.Logger) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(data, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	warning := time.After(lockWarning)
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			err = lock.Truncate(0)
			if err == nil {
				_, err = lock.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
			}
			if err != nil {
				log.Warn("cannot record this process's id", "file", lock.Name(), "error", err)
			}
			return lock, nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return nil, errors.Join(fmt.Errorf("lock the data directory: %w", err), lock.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), lock.Close())
		case <-warning:
			log.Warn("this process waits to receive publications: another one on its data directory does", "data", data, "process", holder(lock))
		case <-time.After(lockEvery):
		}
	}
}

// holder returns the id of the process that has the lock, for a message.
func holder(lock *os.File) string {
	text, err := io.ReadAll(io.NewSectionReader(lock, 0, 32))
	if err != nil {
		return "unknown"
	}
	if _, err := strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}
