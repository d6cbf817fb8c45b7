package servicedef

import (
	"fmt"
	"os"
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
// as ParseAll does. With an error it returns what could be decoded, which is at least one
// service.
func LoadAll(path string) ([]*Service, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return []*Service{{File: path}}, fmt.Errorf("read service definition: %w", err)
	}
	return parse(data, path)
}
