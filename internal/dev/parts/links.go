package parts

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
)

// makeDir makes the directory of a part. A link in its place or directly in it, which
// may have come with a checkout, is an error: its target would be written to, given
// away or removed. Only those named records may be links, which their readers check.
func makeDir(dir string, mode fs.FileMode, records ...string) error {
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	return NoLinks(dir, records...)
}

// NoLinks fails if a directory is a link, or has a link directly in it that is not one
// of the records.
func NoLinks(dir string, records ...string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return linked(dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Type()&fs.ModeSymlink != 0 && !slices.Contains(records, entry.Name()) {
			return linked(filepath.Join(dir, entry.Name()))
		}
	}
	return nil
}

// linked is the error of a link that is not followed.
func linked(path string) error {
	return fmt.Errorf("%s is a link, and mcp dev follows none that it has not made; see where it leads, and remove it: rm %s", path, path)
}

// elsewhere returns the directory outside a part's own that the record at path names, a
// link. It must have a name that mcp gives such directories, and be a directory of one
// of the users, or be gone.
func elsewhere(path string, name *regexp.Regexp, users ...uint32) (string, error) {
	target, err := os.Readlink(path)
	if err != nil {
		return "", err
	}
	if !filepath.IsAbs(target) || filepath.Clean(target) != target || !name.MatchString(target) {
		return "", linked(path)
	}
	info, err := os.Lstat(target)
	if os.IsNotExist(err) {
		return target, nil
	}
	if err != nil {
		return "", err
	}
	if stat := info.Sys().(*syscall.Stat_t); !info.IsDir() || !slices.Contains(users, stat.Uid) {
		return "", fmt.Errorf("read %s: %w", path, linked(path))
	}
	return target, nil
}
