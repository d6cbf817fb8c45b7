package servicedef

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Load reads one definition. The error is an Errors, or that of reading the file.
func Load(path string) (*Service, error) {
	return readFile(path).valid()
}

// definitionFile is a file and its definition. service is never nil, but holds
// only what could be decoded if err is set.
type definitionFile struct {
	path    string
	service *Service
	err     error
}

func (f definitionFile) base() string { return filepath.Base(f.path) }

// valid returns the service, or the error of its file.
func (f definitionFile) valid() (*Service, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.service, nil
}

// problems returns the error of the file as Errors.
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
