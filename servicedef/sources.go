package servicedef

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/metacircular/mcp/servicedef/envfile"
	"github.com/metacircular/mcp/servicedef/lines"
)

// needsSources reports whether the definition names files of the workspace whose contents
// it needs to travel.
func (s *Service) needsSources() bool {
	if len(s.EnvFile) > 0 {
		return true
	}
	for _, c := range s.Components {
		if len(c.EnvFile) > 0 {
			return true
		}
		for _, f := range c.Files {
			if f.Source != "" {
				return true
			}
		}
	}
	return false
}

// ReadSources returns the definition with the contents of the files of the workspace that
// it names: the variables of env_file in env, where the definition does not set them
// itself, and in files the content instead of the source. It reads nothing outside the
// directory Path of the workspace, symbolic links included. The error is an Errors.
//
// A deploy of the result does not depend on the workspace, and a rollback to it brings the
// contents back.
func (s *Service) ReadSources(workspace string) (*Service, error) {
	if !s.needsSources() {
		return s, nil
	}
	r := &report{file: s.File, text: s.linesOfFile, unusable: map[string]bool{}}
	read, err := s.copied()
	if err != nil {
		r.add("", "cannot be copied: %v", err)
		return nil, r.problems.orNil()
	}
	root, err := s.openSources(workspace)
	if err != nil {
		r.add(s.firstSource(), "%v", err)
		return nil, r.problems.orNil()
	}
	defer func() { _ = root.Close() }()
	sources := sources{report: r, root: root, read: map[string][]byte{}}
	shared := sources.envFiles("env_file", s.EnvFile)
	r.env("env_file", Component{}, shared)
	for i := range read.Components {
		c := &read.Components[i]
		own := sources.envFiles(componentKey(i, "env_file"), c.EnvFile)
		r.env(componentKey(i, "env_file"), *c, own)
		c.addEnv(own)
		c.addEnv(withoutPorts(shared, *c))
		c.EnvFile = nil
		for n := range c.Files {
			f := &c.Files[n]
			if f.Source == "" {
				continue
			}
			key := joinKey(elementKey(componentKey(i, "files"), n), "source")
			if data, ok := sources.file(key, f.Source); ok {
				f.setData(data)
			}
		}
	}
	read.EnvFile = nil
	read.addStepEnv(shared)
	r.size(read)
	if err := r.problems.orNil(); err != nil {
		return nil, err
	}
	return read, nil
}

// WithSources returns the directory with the files of the workspace that its valid
// definitions name, as Service.ReadSources does. A definition whose files cannot be read
// has the problems of that.
func (d *Dir) WithSources(workspace string) *Dir {
	read := &Dir{path: d.path, files: slices.Clone(d.files)}
	for i := range read.files {
		if f := &read.files[i]; f.err == nil {
			f.services, f.err = ReadAllSources(f.services, workspace)
		}
	}
	return read
}

// ReadAllSources reads the files of the workspace that a service names, and those that it
// names in its environments, as Service.ReadSources does. It returns services with an error,
// too.
func ReadAllSources(services []*Service, workspace string) ([]*Service, error) {
	read := slices.Clone(services)
	for i, s := range services {
		complete, err := s.ReadSources(workspace)
		if err != nil {
			return services, err
		}
		read[i] = complete
	}
	return read, nil
}

// addStepEnv adds the shared variables that no route sets to those of the service, from
// which the steps without a component have theirs.
func (s *Service) addStepEnv(shared map[string]string) {
	if len(s.Steps) == 0 {
		return
	}
	for _, c := range s.Components {
		shared = withoutPorts(shared, c)
	}
	for name, value := range shared {
		if _, set := s.Env[name]; set {
			continue
		}
		if s.Env == nil {
			s.Env = map[string]string{}
		}
		s.Env[name] = value
	}
}

// withoutPorts returns the shared variables but those that mcp sets for the component's
// routes: another component may need them.
func withoutPorts(shared map[string]string, c Component) map[string]string {
	left := map[string]string{}
	for name, value := range shared {
		left[name] = value
	}
	for _, route := range c.Routes {
		delete(left, PortEnv(route.Name))
	}
	if len(c.Routes) == 1 {
		delete(left, "PORT")
	}
	return left
}

// copied returns a copy whose components can be changed.
func (s *Service) copied() (*Service, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	copied := new(Service)
	return copied, json.Unmarshal(text, copied)
}

// linesOfFile returns the lines of the definition's keys, from its file.
func (s *Service) linesOfFile() *lines.Index {
	data, err := os.ReadFile(s.File)
	if err != nil {
		return lines.Of(nil)
	}
	return lines.Of(data)
}

// firstSource is the key of the first file of the workspace that the definition names.
func (s *Service) firstSource() string {
	if len(s.EnvFile) > 0 {
		return "env_file"
	}
	for i, c := range s.Components {
		if len(c.EnvFile) > 0 {
			return componentKey(i, "env_file")
		}
		for n, f := range c.Files {
			if f.Source != "" {
				return joinKey(elementKey(componentKey(i, "files"), n), "source")
			}
		}
	}
	return ""
}

// openSources opens the directory Path of the workspace, which must be in the workspace.
func (s *Service) openSources(workspace string) (*os.Root, error) {
	if workspace == "" {
		return nil, errors.New("is among the sources, which mcp.toml does not name: set workspace, or sources, in [build]")
	}
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return nil, fmt.Errorf("is in the workspace, which cannot be opened: %w", plain(err))
	}
	if s.Path == "" || s.Path == "." {
		return root, nil
	}
	defer func() { _ = root.Close() }()
	dir, err := root.OpenRoot(s.Path)
	if err != nil {
		return nil, fmt.Errorf("is in %s of the workspace %s, which cannot be opened: %w", s.Path, workspace, plain(err))
	}
	return dir, nil
}

// sources reads files of the workspace for a definition.
type sources struct {
	report *report
	root   *os.Root
	read   map[string][]byte
}

// file reads a file, once. A path that leaves the directory, also through a symbolic link,
// is a problem, as is what is no regular file.
func (s *sources) file(key, name string) ([]byte, bool) {
	if data, done := s.read[name]; done {
		return data, true
	}
	info, err := s.root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.report.add(key, "%s does not exist", filepath.Join(s.root.Name(), name))
		return nil, false
	case err != nil && strings.Contains(err.Error(), "escapes"):
		s.report.add(key, "%q leads out of %s, as a symbolic link does: only files of the workspace are read", name, s.root.Name())
		return nil, false
	case err != nil:
		s.report.add(key, "cannot be read: %v", plain(err))
		return nil, false
	case !info.Mode().IsRegular():
		s.report.add(key, "%s is no regular file", filepath.Join(s.root.Name(), name))
		return nil, false
	case info.Size() > maxFile:
		s.report.add(key, "%s has %d KiB; the limit is %d KiB: put it into an image or a volume",
			filepath.Join(s.root.Name(), name), info.Size()>>10, maxFile>>10)
		return nil, false
	}
	file, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		s.report.add(key, "cannot be read: %v", plain(err))
		return nil, false
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		s.report.add(key, "cannot be read: %v", plain(err))
		return nil, false
	case len(data) > maxFile:
		s.report.add(key, "%s grows while it is read, beyond the limit of %d KiB", filepath.Join(s.root.Name(), name), maxFile>>10)
		return nil, false
	}
	s.read[name] = data
	return data, true
}

// envFiles reads files of variables; a later one wins.
func (s *sources) envFiles(key string, names []string) map[string]string {
	all := map[string]string{}
	for i, name := range names {
		at := elementKey(key, i)
		data, ok := s.file(at, name)
		if !ok {
			continue
		}
		env, err := envfile.Parse(string(data))
		if err != nil {
			s.report.add(at, "%s: %v", filepath.Join(s.root.Name(), name), err)
			continue
		}
		for variable, value := range env {
			all[variable] = value
		}
	}
	return all
}

// plain returns the cause of an error of the file system, without its path.
func plain(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
