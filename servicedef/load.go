package servicedef

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Load reads one definition. The error is an Errors, or says why the file
// cannot be read.
func Load(path string) (*Service, error) {
	return readFile(path).sound()
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

func readFile(path string) definitionFile {
	data, err := os.ReadFile(path)
	if err != nil {
		return definitionFile{path, &Service{File: path}, fmt.Errorf("read service definition: %w", err)}
	}
	service, err := parse(data, path)
	return definitionFile{path, service, err}
}
