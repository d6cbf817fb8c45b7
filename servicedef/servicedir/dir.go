// Package servicedir reads directories of service definitions.
package servicedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/spelling"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/collisions"
	"github.com/metacircular/mcp/servicedef/overlay"
)

// Dir is the content of a services directory at the time it was read.
type Dir struct {
	path  string
	files []definitionFile // by file name
}

// NotFoundError reports that no file in a directory defines a service.
type NotFoundError struct {
	Name, Dir string
	// Nearest holds the names of services there that are similar, most similar
	// first.
	Nearest []string
	// Unreadable holds files there that are too broken to contain the name of
	// their service.
	Unreadable []string
}

// Error names the directory. The caller shows Nearest.
func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("no file in %s defines service %s", e.Dir, e.Name)
	if len(e.Unreadable) > 0 {
		text += fmt.Sprintf(" (%s cannot be read)", strings.Join(e.Unreadable, ", "))
	}
	return text
}

// NoDirError reports that the services directory does not exist.
type NoDirError struct{ Dir string }

func (e *NoDirError) Error() string { return "the services directory " + e.Dir + " does not exist" }

// Unwrap makes it an fs.ErrNotExist.
func (e *NoDirError) Unwrap() error { return fs.ErrNotExist }

// Read reads every *.toml file of a directory, valid or not. It ignores hidden
// files, such as an editor's. If the directory does not exist, the error is a
// *NoDirError.
func Read(path string) (*Dir, error) {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &NoDirError{Dir: path}
	case err != nil:
		return nil, fmt.Errorf("read services directory: %w", err)
	}
	d := &Dir{path: path}
	for _, entry := range entries {
		name := entry.Name()
		if !entry.IsDir() && filepath.Ext(name) == ".toml" && !strings.HasPrefix(name, ".") {
			d.files = append(d.files, readFile(filepath.Join(path, name)))
		}
	}
	return d, nil
}

// Services returns the valid services by name, without those of environments, and the
// problems of the other files. A name that two files define is a problem of both, and
// neither is returned.
func (d *Dir) Services() (map[string]*servicedef.Service, servicedef.Errors) {
	services := map[string]*servicedef.Service{}
	var problems servicedef.Errors
	for _, f := range d.files {
		switch duplicates := d.duplicates(f); {
		case f.err != nil:
			problems = append(problems, f.problems()...)
		case len(duplicates) > 0:
			problems = append(problems, duplicates...)
		default:
			services[f.service().Name] = f.service()
		}
	}
	return services, problems
}

// All returns the valid services, with those of environments, by name.
func (d *Dir) All() map[string]*servicedef.Service {
	services := map[string]*servicedef.Service{}
	for _, f := range d.files {
		if f.err != nil || len(d.duplicates(f)) > 0 {
			continue
		}
		for _, s := range f.services {
			services[s.Name] = s
		}
	}
	return services
}

// EnvironmentsOf returns the environments of a service that the directory defines.
func (d *Dir) EnvironmentsOf(name string) []string {
	for _, f := range d.files {
		if f.service().Name == name {
			return f.environments()
		}
	}
	return nil
}

// Environment returns the valid services of one environment by name. None is an error,
// which lists the environments that there are.
func (d *Dir) Environment(environment string) (map[string]*servicedef.Service, error) {
	services := map[string]*servicedef.Service{}
	var known []string
	for _, f := range d.files {
		known = append(known, f.environments()...)
		if s, ok := f.in(environment); ok && f.err == nil && len(d.duplicates(f)) == 0 {
			services[s.Name] = s
		}
	}
	if len(services) > 0 {
		return services, nil
	}
	slices.Sort(known)
	return nil, &UnknownEnvironmentError{Name: environment, Known: slices.Compact(known)}
}

// Find returns the definition of one service, which may be one in an environment:
// "shop-staging". If its file is invalid, the error is that file's Errors; if there is no
// such file, a *NotFoundError.
func (d *Dir) Find(name string) (*servicedef.Service, error) {
	f, err := d.find(name)
	if err != nil {
		return nil, err
	}
	if f.err != nil {
		return nil, f.err
	}
	s, _ := f.named(name)
	return s, nil
}

// FindIn returns the definition of one service in an environment; "" is none. The error
// is one of Find's, or an *UnknownEnvironmentError.
func (d *Dir) FindIn(name, environment string) (*servicedef.Service, error) {
	if environment == "" {
		return d.Find(name)
	}
	f, err := d.find(name)
	switch {
	case err != nil:
		return nil, err
	case f.err != nil:
		return nil, f.err
	}
	s, ok := f.in(environment)
	if !ok || f.service().Name != name {
		return nil, f.unknown(name, environment)
	}
	return s, nil
}

// find returns the file of a service.
func (d *Dir) find(name string) (definitionFile, error) {
	unknown := &NotFoundError{Name: name, Dir: d.path}
	fileName := name + ".toml"
	var names []string
	var broken error // of the file whose own name is that of the service
	for _, f := range d.files {
		nameless := f.service().Name == ""
		_, named := f.named(name)
		switch {
		case named || nameless && f.base() == fileName:
			if duplicates := d.duplicates(f); len(duplicates) > 0 {
				return f, append(f.problems(), duplicates...)
			}
			return f, nil
		case nameless:
			unknown.Unreadable = append(unknown.Unreadable, f.base())
		default:
			for _, s := range f.services {
				names = append(names, s.Name)
			}
			if f.base() == fileName {
				broken = f.err // the name in it may be one of its mistakes
			}
		}
	}
	if broken != nil {
		return definitionFile{}, broken
	}
	unknown.Nearest = spelling.Nearest(name, names)
	return definitionFile{}, unknown
}

// CollisionsOf finds collisions between one service and the other valid services
// of the directory, as collisions.Containers does. It ignores files that are invalid and
// collisions of the others among themselves.
func (d *Dir) CollisionsOf(service *servicedef.Service) error {
	var problems servicedef.Errors
	for _, f := range d.files {
		for _, other := range f.services {
			if f.err == nil && other.Name != service.Name {
				var found servicedef.Errors
				_ = errors.As(collisions.Containers([]*servicedef.Service{other, service}), &found) // it returns no other error
				problems = append(problems, found...)
			}
		}
	}
	return problems.OrNil()
}

// WithSources returns the directory with the files of the workspace that its valid
// definitions name, as servicedef.Service.ReadSources does. Files that cannot be read are
// problems of their definition.
func (d *Dir) WithSources(workspace string) *Dir {
	read := &Dir{path: d.path, files: slices.Clone(d.files)}
	for i := range read.files {
		if f := &read.files[i]; f.err == nil {
			f.services, f.err = servicedef.ReadAllSources(f.services, workspace)
		}
	}
	return read
}

// duplicates returns a problem for each service of a file that another file defines too.
func (d *Dir) duplicates(f definitionFile) servicedef.Errors {
	var problems servicedef.Errors
	for i, s := range f.services {
		var others []string
		for _, other := range d.files {
			if _, same := other.named(s.Name); same && other.path != f.path {
				others = append(others, other.path)
			}
		}
		if len(others) == 0 {
			continue
		}
		slices.Sort(others)
		key := "name"
		if i > 0 {
			key = overlay.Environment{Name: f.environments()[i-1]}.At()
		}
		problems = append(problems, servicedef.Problem{
			File: f.path, Key: key,
			Message: fmt.Sprintf("%s also defines service %s", strings.Join(others, " and "), s.Name),
		})
	}
	return problems
}
