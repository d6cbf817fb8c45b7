package servicedef

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Load reads one definition. The error is an Errors, or that of reading the file.
func Load(path string) (*Service, error) {
	services, err := LoadAll(path)
	if err != nil {
		return nil, err
	}
	return services[0], nil
}

// LoadAll reads one definition, and returns its service and those of its environments,
// as ParseAll does.
func LoadAll(path string) ([]*Service, error) {
	f := readFile(path)
	return f.services, f.err
}

// definitionFile is a file and its definition: the service, which is never nil, and
// those of its environments. They hold only what could be decoded if err is set.
type definitionFile struct {
	path     string
	services []*Service
	err      error
}

func readFile(path string) definitionFile {
	data, err := os.ReadFile(path)
	if err != nil {
		return definitionFile{path, []*Service{{File: path}}, fmt.Errorf("read service definition: %w", err)}
	}
	services, err := parse(data, path)
	return definitionFile{path, services, err}
}

func (f definitionFile) base() string { return filepath.Base(f.path) }

// service is the one without an environment.
func (f definitionFile) service() *Service { return f.services[0] }

// named returns the service of that name, without its environment or in one.
func (f definitionFile) named(name string) (*Service, bool) {
	i := slices.IndexFunc(f.services, func(s *Service) bool { return s.Name == name })
	if i < 0 || name == "" {
		return nil, false
	}
	return f.services[i], true
}

// environments returns the names of the environments of a file, in the order of services.
func (f definitionFile) environments() []string {
	var names []string
	for _, s := range f.services[1:] {
		names = append(names, strings.TrimPrefix(s.Name, f.service().Name+"-"))
	}
	return names
}

// in returns the service in an environment.
func (f definitionFile) in(environment string) (*Service, bool) {
	return f.named(InEnvironment(f.service().Name, environment))
}

// unknown is the error of an environment that the file does not have.
func (f definitionFile) unknown(service, environment string) error {
	return &UnknownEnvironmentError{Service: service, Name: environment, File: f.path, Known: f.environments()}
}

// problems returns the error of the file as Errors.
func (f definitionFile) problems() Errors {
	var problems Errors
	if f.err == nil || errors.As(f.err, &problems) {
		return problems
	}
	return Errors{{File: f.path, Message: f.err.Error()}}
}
