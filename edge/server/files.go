package server

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// maxFile bounds a file with a certificate, its chain and its key, in bytes.
const maxFile = 1 << 20

// files are certificates that the operator provides.
type files struct {
	paths []string

	mu   sync.RWMutex
	read map[string]*file
}

// file is what was last read from a path. A file that can no longer be read keeps its
// former certificate.
type file struct {
	modified time.Time
	size     int64
	cert     *tls.Certificate
	problem  string
	failed   time.Time
}

func newFiles(paths []string) *files {
	f := &files{paths: paths, read: map[string]*file{}}
	f.refresh()
	return f
}

// refresh reads the files that have changed, and reports whether there are any.
func (f *files) refresh() (changed bool) {
	for _, path := range f.paths {
		f.mu.RLock()
		former := f.read[path]
		f.mu.RUnlock()
		now := load(path, former)
		if now == former {
			continue
		}
		changed = true
		f.mu.Lock()
		f.read[path] = now
		f.mu.Unlock()
	}
	return changed
}

// load reads a file, unless it is unchanged.
func load(path string, former *file) *file {
	if former == nil {
		former = &file{}
	}
	now := &file{cert: former.cert}
	info, err := os.Stat(path)
	if err == nil {
		now.modified, now.size = info.ModTime(), info.Size()
		if now.modified.Equal(former.modified) && now.size == former.size {
			return former
		}
		var cert *tls.Certificate
		if cert, err = readPair(path, info); err == nil {
			now.cert = cert
		}
	}
	if err != nil {
		now.problem = fault.Wrap(fault.Invalid, err, "edge.certificates: %s", path).Error()
		if now.problem == former.problem {
			return former
		}
		now.failed = time.Now()
	}
	return now
}

func readPair(path string, info os.FileInfo) (*tls.Certificate, error) {
	switch {
	case !info.Mode().IsRegular():
		return nil, fault.New(fault.Invalid, "not a regular file")
	case info.Size() > maxFile:
		return nil, fault.New(fault.Invalid, "%d bytes: at most %d are read", info.Size(), maxFile)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fault.New(fault.Unauthorized, "mode %04o: other users could read the key; run chmod 600", info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, err
	}
	return &cert, nil
}

// get returns the certificate for a hostname, or for a wildcard itself; nil if there is
// none. Of several, it is the one that lasts longest.
func (f *files) get(name string) *tls.Certificate {
	f.mu.RLock()
	defer f.mu.RUnlock()
	var best *tls.Certificate
	for _, path := range f.paths {
		cert := f.read[path].cert
		if cert != nil && covers(cert.Leaf, name) && (best == nil || cert.Leaf.NotAfter.After(best.Leaf.NotAfter)) {
			best = cert
		}
	}
	return best
}

func covers(leaf *x509.Certificate, name string) bool {
	return slices.Contains(leaf.DNSNames, name) || leaf.VerifyHostname(name) == nil
}

func (f *files) cover(name string) bool { return f.get(name) != nil }

// problem returns what is wrong with the file of a hostname's certificate, and since when.
func (f *files) problem(name string) (string, time.Time) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, path := range f.paths {
		file := f.read[path]
		if file.cert == nil || !covers(file.cert.Leaf, name) {
			continue
		}
		if file.problem != "" {
			return file.problem, file.failed
		}
		if until := file.cert.Leaf.NotAfter; time.Now().After(until) && f.only(path, name) {
			return fmt.Sprintf("edge.certificates: the certificate in %s is valid until %s", path, until.Format(time.RFC3339)), until
		}
	}
	return "", time.Time{}
}

// only reports whether no other file has a certificate for the hostname.
func (f *files) only(path, name string) bool {
	return !slices.ContainsFunc(f.paths, func(other string) bool {
		cert := f.read[other].cert
		return other != path && cert != nil && covers(cert.Leaf, name)
	})
}

// problems returns what is wrong with the files.
func (f *files) problems() []string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	var all []string
	for _, path := range f.paths {
		if p := cmp.Or(f.read[path].problem); p != "" {
			all = append(all, p)
		}
	}
	return all
}
