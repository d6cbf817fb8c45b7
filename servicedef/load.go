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

// Load reads one definition. The error is an Errors, or says why the file
// cannot be read.
func Load(path string) (*Service, error) {
	return readFile(path).sound()
}

// LoadDir reads every *.toml of a directory. It returns the services that are
// sound, by name, whatever is wrong with the other files; what that is, is in
// the error, an Errors unless the directory itself cannot be read. A name that
// two files claim is a problem of both, and neither is returned.
func LoadDir(dir string) (map[string]*Service, error) {
	files, err := readDir(dir)
	if err != nil {
		return nil, err
	}
	services := map[string]*Service{}
	var problems Errors
	for _, f := range files {
		switch duplicates := sameName(files, f); {
		case f.err != nil:
			problems = append(problems, f.problems()...)
		case len(duplicates) > 0:
			problems = append(problems, duplicateProblem(f, duplicates))
		default:
			services[f.service.Name] = f.service
		}
	}
	return services, problems.orNil()
}

// Find reads the definition of one service. Where the file that must be it is
// broken, the error is its Errors; where there is none, a *NotFoundError.
func Find(dir, name string) (*Service, error) {
	files, err := readDir(dir)
	if err != nil {
		return nil, err
	}
	unknown := &NotFoundError{Name: name, Dir: dir}
	fileName := name + ".toml"
	var names []string
	var broken error // of the file that by its own name should be it
	for _, f := range files {
		nameless := f.service.Name == ""
		switch {
		case f.service.Name == name || nameless && f.base() == fileName:
			if duplicates := sameName(files, f); len(duplicates) > 0 {
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

// definitionFile is a file, and what could be read of it: service is never
// nil, but not sound where err is set.
type definitionFile struct {
	path    string
	service *Service
	err     error
}

func (f definitionFile) base() string { return filepath.Base(f.path) }

// sound is the service, or what is wrong with it.
func (f definitionFile) sound() (*Service, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.service, nil
}

// problems are what is wrong with the file, in the one shape.
func (f definitionFile) problems() Errors {
	var problems Errors
	if f.err == nil || errors.As(f.err, &problems) {
		return problems
	}
	return Errors{{File: f.path, Message: f.err.Error()}}
}

// readDir reads all definitions in a directory, by file name. Hidden files,
// such as an editor's, are none.
func readDir(dir string) ([]definitionFile, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &NoDirError{Dir: dir}
	case err != nil:
		return nil, fmt.Errorf("read services directory: %w", err)
	}
	var files []definitionFile
	for _, entry := range entries {
		name := entry.Name()
		if !entry.IsDir() && filepath.Ext(name) == ".toml" && !strings.HasPrefix(name, ".") {
			files = append(files, readFile(filepath.Join(dir, name)))
		}
	}
	return files, nil
}

func readFile(path string) definitionFile {
	data, err := os.ReadFile(path)
	if err != nil {
		return definitionFile{path, &Service{File: path}, fmt.Errorf("read service definition: %w", err)}
	}
	service, err := parse(data, path)
	return definitionFile{path, service, err}
}

// sameName are the other files whose definition is of the same service.
func sameName(files []definitionFile, f definitionFile) []string {
	var others []string
	for _, other := range files {
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
