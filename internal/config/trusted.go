package config

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/metacircular/mcp/internal/fault"
)

// trusted returns an error if a user other than the caller and root decides what a
// configuration that was found says: one who owns it or its directory, may write to
// one of them, or has put a link in their place.
func trusted(path string) error {
	for _, part := range []string{filepath.Dir(path), path} {
		if err := Ours(part); err != nil {
			return fault.Wrap(fault.Unauthorized, err, "the configuration %s is not read", path).
				WithHint("if you trust it, name it: --config %s; otherwise work in another folder", path)
		}
	}
	return nil
}

// Ours returns an error if a file or a directory belongs to a user other than the
// caller and root, or if others may write to it. For a link, both the link and its
// target count.
func Ours(path string) error {
	link, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if err := owned(path, link); err != nil || link.Mode()&fs.ModeSymlink == 0 {
		return err
	}
	target, err := os.Stat(path)
	if err != nil {
		return err
	}
	return owned(path, target)
}

func owned(path string, info fs.FileInfo) error {
	stat := info.Sys().(*syscall.Stat_t)
	if uid := int(stat.Uid); uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %s, not to you or root", path, userName(uid))
	}
	return closed(path, info)
}

// closed returns an error if others may write to a file. A user's own group, which has
// the user's number, does not count as others.
func closed(path string, info fs.FileInfo) error {
	stat, open := info.Sys().(*syscall.Stat_t), fs.FileMode(0o022)
	if stat.Gid == stat.Uid {
		open = 0o002
	}
	if mode := info.Mode(); mode&fs.ModeSymlink == 0 && mode.Perm()&open != 0 {
		return fmt.Errorf("others may write to %s (mode %04o); run chmod go-w %s", path, mode.Perm(), path)
	}
	return nil
}

func userName(uid int) string {
	if account, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return account.Username
	}
	return strconv.Itoa(uid)
}
