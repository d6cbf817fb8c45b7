package servicedir

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metacircular/mcp/servicedef"
)

// definitionFile is a file and its definition: the service, which is never nil, and
// those of its environments. They hold only what could be decoded if err is set.
type definitionFile struct {
	path     string
	services []*servicedef.Service
	err      error
}

func readFile(path string) definitionFile {
	services, err := servicedef.LoadAll(path)
	return definitionFile{path, services, err}
}

func (f definitionFile) base() string { return filepath.Base(f.path) }

// service is the one without an environment.
func (f definitionFile) service() *servicedef.Service { return f.services[0] }

// named returns the service of that name, without its environment or in one.
func (f definitionFile) named(name string) (*servicedef.Service, bool) {
	i := slices.IndexFunc(f.services, func(s *servicedef.Service) bool { return s.Name == name })
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
func (f definitionFile) in(environment string) (*servicedef.Service, bool) {
	return f.named(servicedef.InEnvironment(f.service().Name, environment))
}

// unknown returns the error of an environment that the file does not have.
func (f definitionFile) unknown(service, environment string) error {
	return &UnknownEnvironmentError{Service: service, Name: environment, File: f.path, Known: f.environments()}
}

// problems returns the error of the file as servicedef.Errors.
func (f definitionFile) problems() servicedef.Errors {
	var problems servicedef.Errors
	if f.err == nil || errors.As(f.err, &problems) {
		return problems
	}
	return servicedef.Errors{{File: f.path, Message: f.err.Error()}}
}

// UnknownEnvironmentError reports that a definition has no such environment.
type UnknownEnvironmentError struct {
	// Service is "" if no definition of a directory has the environment.
	Service, Name, File string
	// Known are the environments that there are.
	Known []string
}

// Error lists the known ones.
func (e *UnknownEnvironmentError) Error() string {
	who := "no definition has the environment " + e.Name
	if e.Service != "" {
		who = fmt.Sprintf("service %s has no environment %s", e.Service, e.Name)
	}
	if len(e.Known) == 0 {
		return who + fmt.Sprintf(": [env.%s] would define it", e.Name)
	}
	has := "they have"
	if e.Service != "" {
		has = "it has"
	}
	return who + ": " + has + " " + strings.Join(e.Known, ", ")
}
