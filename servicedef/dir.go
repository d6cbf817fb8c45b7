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

// Dir is a services directory as it was when it was read.
type Dir struct {
	path  string
	files []definitionFile // by file name
}

// NotFoundError says that no definition in a directory is of a service.
type NotFoundError struct {
	Name, Dir string
	// Nearest are services there with a name like it, the likeliest first.
	Nearest []string
	// Unreadable are files there that are too broken to tell what service
	// they are of.
	Unreadable []string
}

// Error says where it was looked for. Nearest is left to the caller to show.
func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("no file in %s defines service %s", e.Dir, e.Name)
	if len(e.Unreadable) > 0 {
		text += fmt.Sprintf(" (%s cannot be read)", strings.Join(e.Unreadable, ", "))
	}
	return text
}

// NoDirError says that the services directory does not exist.
type NoDirError struct{ Dir string }

func (e *NoDirError) Error() string { return "the services directory " + e.Dir + " does not exist" }

// Unwrap makes it an fs.ErrNotExist.
func (e *NoDirError) Unwrap() error { return fs.ErrNotExist }

// ReadDir reads every *.toml of a directory, sound or not. Hidden files, such as
// an editor's, are no definitions. A directory that is not there is a *NoDirError.
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

// Services are those that are sound, by name, whatever is wrong with the other
// files, and what that is. A name that two files claim is a problem of both, and
// neither is returned.
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

// Find is the definition of one service. Where the file that must be it is
// broken, the error is its Errors; where there is none, a *NotFoundError.
func (d *Dir) Find(name string) (*Service, error) {
	unknown := &NotFoundError{Name: name, Dir: d.path}
	fileName := name + ".toml"
	var names []string
	var broken error // of the file that by its own name should be it
	for _, f := range d.files {
		nameless := f.service.Name == ""
		switch {
		case f.service.Name == name || nameless && f.base() == fileName:
			if duplicates := d.sameName(f); len(duplicates) > 0 {
				return nil, append(f.problems(), duplicateProblem(f, duplicates))
			}
			return f.sound()
		case nameless:
			unknown.Unreadable = append(unknown.Unreadable, f.base())
		default:
			names = append(names, f.service.Name)
			if f.base() == fileName {
				broken = f.err // its name may well be one of its mistakes
			}
		}
	}
	if broken != nil {
		return nil, broken
	}
	unknown.Nearest = Nearest(name, names)
	return nil, unknown
}

// CollisionsOf finds what collides with one service among the valid others of the
// directory, as Collisions does. Files that are broken or collide among themselves
// do not matter to it.
func (d *Dir) CollisionsOf(service *Service) error {
	var problems Errors
	for _, f := range d.files {
		if f.err == nil && f.service.Name != service.Name {
			problems = append(problems, collisions([]*Service{f.service, service})...)
		}
	}
	return problems.orNil()
}

// sameName are the other files whose definition is of the same service.
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
		Message: fmt.Sprintf("%s defines service %s too", strings.Join(others, " and "), f.service.Name),
	}
}
