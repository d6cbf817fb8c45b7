package service

import (
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// checkText checks the text of a file of the services directory, also against the
// other definitions there.
func checkText(dir, path, text string) (*servicedef.Service, error) {
	service, err := servicedef.Parse([]byte(text), path)
	if err != nil {
		return nil, err
	}
	read, err := servicedef.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if other, err := read.Find(service.Name); err == nil && other.File != path {
		return nil, fault.New(fault.Conflict, "%s defines service %s already", other.File, service.Name)
	}
	return service, read.CollisionsOf(service)
}
