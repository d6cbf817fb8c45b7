package servicedef

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// ReadDir reads every *.toml file of a directory, valid or not. It ignores hidden
// files, such as an editor's. If the directory does not exist, the error is a
// *NoDirError.
func ReadDir(path string) (*Dir, error) {
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

// WithSources returns the content with the files of the workspace that its valid
// definitions name, as Service.ReadSources does. A definition whose files cannot be read
// has the problems of that.
func (d *Dir) WithSources(workspace string) *Dir {
	read := &Dir{path: d.path, files: slices.Clone(d.files)}
	for i := range read.files {
		f := &read.files[i]
		if f.err != nil {
			continue
		}
		if service, err := f.service.ReadSources(workspace); err != nil {
			f.err = err
		} else {
			f.service = service
		}
	}
	return read
}

// Services returns the valid services by name, and the problems of the other
// files. A name that two files define is a problem of both, and neither is
// returned.
func (d *Dir) Services() (map[string]*Service, Errors) {
	services := map[string]*Service{}
	var problems Errors
	for _, f := range d.files {
		switch duplicates := d.sameName(f); {
		case f.err != nil:
			problems = append(problems, f.problems()...)
		case len(duplicates) > 0:
			problems = append(problems, duplicateProblem(f, duplicates))
		default:
			services[f.service.Name] = f.service
		}
	}
	return services, problems
}

// Find returns the definition of one service. If its file is invalid, the error
// is that file's Errors; if there is no such file, a *NotFoundError.
func (d *Dir) Find(name string) (*Service, error) {
	unknown := &NotFoundError{Name: name, Dir: d.path}
	fileName := name + ".toml"
	var names []string
	var broken error // of the file whose own name is that of the service
	for _, f := range d.files {
		nameless := f.service.Name == ""
		switch {
		case f.service.Name == name || nameless && f.base() == fileName:
			if duplicates := d.sameName(f); len(duplicates) > 0 {
				return nil, append(f.problems(), duplicateProblem(f, duplicates))
			}
			return f.valid()
		case nameless:
			unknown.Unreadable = append(unknown.Unreadable, f.base())
		default:
			names = append(names, f.service.Name)
			if f.base() == fileName {
				broken = f.err // the name in it may be one of its mistakes
			}
		}
	}
	if broken != nil {
		return nil, broken
	}
	unknown.Nearest = Nearest(name, names)
	return nil, unknown
}

// CollisionsOf finds collisions between one service and the other valid services
// of the directory, as Collisions does. It ignores files that are invalid and
// collisions of the others among themselves.
func (d *Dir) CollisionsOf(service *Service) error {
	var problems Errors
	for _, f := range d.files {
		if f.err == nil && f.service.Name != service.Name {
			problems = append(problems, collisions([]*Service{f.service, service})...)
		}
	}
	return problems.orNil()
}

// sameName returns the other files that define the same service.
func (d *Dir) sameName(f definitionFile) []string {
	var others []string
	for _, other := range d.files {
		if name := f.service.Name; name != "" && other.path != f.path && other.service.Name == name {
			others = append(others, other.path)
		}
	}
	slices.Sort(others)
	return others
}

func duplicateProblem(f definitionFile, others []string) Problem {
	return Problem{
		File: f.path, Key: "name",
		Message: fmt.Sprintf("%s also defines service %s", strings.Join(others, " and "), f.service.Name),
	}
}
