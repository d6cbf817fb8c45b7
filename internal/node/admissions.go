package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// Admissions records what the policy of this host has let run: an empty file for each
// fingerprint. The directory is made when the first one is noted.
type Admissions struct{ Dir string }

// mostAdmissions bounds the files; the oldest go.
const mostAdmissions = 4096

var fingerprint = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Begun reports whether anything has ever been noted.
func (a Admissions) Begun() bool {
	_, err := os.Stat(a.Dir)
	return err == nil
}

// Note records a fingerprint. It may be called twice.
func (a Admissions) Note(print string) error {
	if err := os.MkdirAll(a.Dir, 0o700); err != nil {
		return fmt.Errorf("note what the policy has let run: %w", err)
	}
	if print == "" {
		return nil
	}
	if !fingerprint.MatchString(print) {
		return fmt.Errorf("note what the policy has let run: %q is no fingerprint", print)
	}
	name := filepath.Join(a.Dir, print)
	now := time.Now()
	if err := os.Chtimes(name, now, now); err == nil {
		return nil
	}
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		return fmt.Errorf("note what the policy has let run: %w", err)
	}
	return a.thin()
}

// Noted reports whether a fingerprint is recorded.
func (a Admissions) Noted(print string) bool {
	if !fingerprint.MatchString(print) {
		return false
	}
	info, err := os.Lstat(filepath.Join(a.Dir, print))
	return err == nil && info.Mode().IsRegular()
}

// thin removes the oldest if there are too many.
func (a Admissions) thin() error {
	entries, err := os.ReadDir(a.Dir)
	if err != nil || len(entries) <= mostAdmissions {
		return err
	}
	var files []fs.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, old := range files[:max(0, len(files)-mostAdmissions)] {
		if err := os.Remove(filepath.Join(a.Dir, old.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
