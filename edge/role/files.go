package role

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/renameio/v2"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// Limits of a publication: of its file in bytes, and of its routes.
const (
	maxFile   = 4 << 20
	maxRoutes = 1000
)

// notAdmitted is a file that exists while the edge must not serve: no operator has
// admitted its key, or one has removed it. It outlives a reboot, after which the ports
// in the publications may belong to other services.
const notAdmitted = "not-admitted"

// files keeps publications, each in a file named after its service.
type files struct {
	dir string
	// saved are the versions on disk, by service.
	saved map[string]int64
}

// openFiles reads the publications in a directory, which it creates. Problems says which
// files it could not read: the others are returned.
func openFiles(dir string) (f *files, publications []fleet.Publication, problems map[string]string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, nil, fmt.Errorf("create the directory of publications: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("list the publications: %w", err)
	}
	f = &files{dir: dir, saved: map[string]int64{}}
	problems = map[string]string{}
	for _, entry := range entries {
		service, ok := strings.CutSuffix(entry.Name(), ".json")
		if !ok || !isLabel(service) {
			continue // left by an interrupted write
		}
		p, err := readPublication(f.path(service), service)
		if err != nil {
			problems[service] = fmt.Sprintf("%s is not served until its next publication: the file %s is damaged: %v", service, f.path(service), err)
			continue
		}
		f.saved[service] = p.Version
		publications = append(publications, p)
	}
	return f, publications, problems, nil
}

// save writes publications that are newer than those on disk, so that they survive a
// loss of power. It returns the errors by service.
func (f *files) save(publications []fleet.Publication) map[string]error {
	failed := map[string]error{}
	written := map[string]int64{}
	for _, p := range publications {
		if p.Version <= f.saved[p.Service] {
			continue
		}
		if err := writePublication(f.path(p.Service), p); err != nil {
			failed[p.Service] = err
			continue
		}
		written[p.Service] = p.Version
	}
	if len(written) == 0 {
		return failed
	}
	err := syncDir(f.dir)
	for service, version := range written {
		if err != nil {
			failed[service] = err
			continue
		}
		f.saved[service] = version
	}
	return failed
}

func (f *files) path(service string) string { return filepath.Join(f.dir, service+".json") }

func readPublication(path, service string) (p fleet.Publication, err error) {
	file, err := os.Open(path)
	if err != nil {
		return p, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return p, err
	case len(text) > maxFile:
		return p, fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, err
	}
	if p.Service != service {
		return p, fmt.Errorf("it is one of service %q", p.Service)
	}
	return p, check(p)
}

func writePublication(path string, p fleet.Publication) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if len(text) > maxFile {
		return fmt.Errorf("it has %d bytes, and at most %d are permitted", len(text), maxFile)
	}
	return replace(path, text)
}

// replace replaces a file by one with that content, of mode 0600.
func replace(path string, text []byte) error {
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer func() { _ = file.Cleanup() }()
	if _, err := file.Write(text); err != nil {
		return err
	}
	return file.CloseAtomicallyReplace()
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// mark makes a file exist, or not, durably.
func mark(path string, exists bool) error {
	if exists {
		if err := replace(path, []byte("This edge is not admitted, and serves nothing: mcp edge admit NAME\n")); err != nil {
			return err
		}
	} else if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return syncDir(filepath.Dir(path))
}

func isMarked(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// check refuses a publication that cannot be served, or kept in a file.
func check(p fleet.Publication) error {
	switch {
	case !isLabel(p.Service):
		return fault.New(fault.Invalid, "a publication of a service named %.80q", p.Service)
	case p.Version < 1:
		return fault.New(fault.Invalid, "a publication of %s with version %d", p.Service, p.Version)
	case len(p.Routes) > maxRoutes:
		return fault.New(fault.Invalid, "a publication of %s with %d routes: at most %d are permitted", p.Service, len(p.Routes), maxRoutes)
	}
	protocols := []string{fleet.ProtocolHTTP, fleet.ProtocolTCP, fleet.ProtocolUDP}
	for _, r := range p.Routes {
		if r.Endpoint.Port < 1 || r.Endpoint.Port > 65535 || !slices.Contains(protocols, r.Endpoint.Protocol) {
			return fault.New(fault.Invalid, "a publication of %s with the endpoint %.200q", p.Service, r.Endpoint.String())
		}
	}
	return nil
}

var label = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`) })

// isLabel reports whether a service's name is a DNS label, and so a file's name.
func isLabel(service string) bool { return len(service) <= 63 && label().MatchString(service) }
