package servicedef

import (
	"encoding/json"
	"os"
	"slices"

	"github.com/metacircular/mcp/servicedef/lines"
	"github.com/metacircular/mcp/servicedef/workspace"
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

// ReadSources returns the definition with the contents of the files that it names in the
// workspace root: the variables of env_file in env, unless the definition sets them itself,
// and in files the content instead of the source. It reads nothing outside the directory
// Path of the workspace, symbolic links included. The error is an Errors.
//
// A deploy of the result does not depend on the workspace, and a rollback to it brings the
// contents back.
func (s *Service) ReadSources(root string) (*Service, error) {
	if !s.needsSources() {
		return s, nil
	}
	r := &report{file: s.File, text: s.linesOfFile, unusable: map[string]bool{}}
	read, err := s.copied()
	if err != nil {
		r.add("", "cannot be copied: %v", err)
		return nil, r.problems.OrNil()
	}
	dir, err := workspace.Open(root, s.Path)
	if err != nil {
		r.add(s.firstSource(), "%v", err)
		return nil, r.problems.OrNil()
	}
	defer func() { _ = dir.Close() }()
	shared := r.envFiles("env_file", s.EnvFile, dir)
	r.env("env_file", Component{}, shared)
	for i := range read.Components {
		c := &read.Components[i]
		own := r.envFiles(componentKey(i, "env_file"), c.EnvFile, dir)
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
			data, err := dir.File(f.Source)
			if err != nil {
				r.add(key, "%v", err)
				continue
			}
			f.setData(data)
		}
	}
	read.EnvFile = nil
	read.addStepEnv(shared)
	r.size(read)
	if err := r.problems.OrNil(); err != nil {
		return nil, err
	}
	return read, nil
}

// ReadAllSources reads the files of the workspace that a service names, and those that it
// names in its environments, as Service.ReadSources does. With an error, it returns services
// unchanged.
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
// which steps without a component take theirs.
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

// withoutPorts returns the shared variables except those that mcp sets for the component's
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

// envFiles reads files of variables; a later one wins.
func (r *report) envFiles(key string, names []string, dir *workspace.Dir) map[string]string {
	all := map[string]string{}
	for i, name := range names {
		env, err := dir.Env(name)
		if err != nil {
			r.add(elementKey(key, i), "%v", err)
			continue
		}
		for variable, value := range env {
			all[variable] = value
		}
	}
	return all
}
