package parts

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// volatileLink, in the engine's directory, links to its volatile directory.
const volatileLink = "volatile"

var volatilePattern = regexp.MustCompile(`/mcp-podman-[0-9]+$`)

// volatileDir returns the directory for podman's socket and for its state of
// running containers. Its path is short and outside dir, because podman refuses a
// run root of more than 50 bytes and the kernel a unix socket's path of more than
// 107. It is the same at each start, because podman's database refuses another.
// After a boot of the machine it is emptied; otherwise podman would take its
// containers for running.
func volatileDir(dir string) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	link := filepath.Join(dir, volatileLink)
	path, err := elsewhere(link, volatilePattern, uint32(os.Geteuid()))
	if errors.Is(err, fs.ErrNotExist) {
		return newVolatileDir(link, boot)
	}
	if err != nil {
		return "", err
	}
	seen := filepath.Join(path, "boot_id")
	if was, err := os.ReadFile(seen); err == nil && bytes.Equal(was, boot) {
		return path, nil
	}
	if err := os.RemoveAll(path); err != nil {
		return "", fmt.Errorf("remove podman's state from before the boot: %w", err)
	}
	// Not MkdirAll: if the directory exists again in a parent that other users
	// can write to, it is another user's.
	if err := os.Mkdir(path, 0o700); err != nil {
		return "", fmt.Errorf("recreate podman's volatile directory: %w", err)
	}
	if err := os.WriteFile(seen, boot, 0o600); err != nil {
		return "", fmt.Errorf("record the boot id: %w", err)
	}
	return path, nil
}

// newVolatileDir creates a volatile directory and the link to it.
func newVolatileDir(link string, boot []byte) (string, error) {
	base := os.Getenv("XDG_RUNTIME_DIR")
	switch {
	case os.Geteuid() == 0:
		base = "/run"
	case base == "":
		base = os.TempDir()
	}
	path, err := os.MkdirTemp(base, "mcp-podman-")
	if err != nil {
		return "", fmt.Errorf("make podman's volatile directory: %w", err)
	}
	if err := os.WriteFile(filepath.Join(path, "boot_id"), boot, 0o600); err != nil {
		return "", fmt.Errorf("record the boot id: %w", err)
	}
	if err := os.Symlink(path, link); err != nil {
		return "", fmt.Errorf("link podman's volatile directory: %w", err)
	}
	return path, nil
}
