package service

import (
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/servicedir"
)

// checkText checks the text of a file of the services directory, in each of its
// environments, and against the other definitions there.
func checkText(dir, path, text string) (*servicedef.Service, error) {
	services, err := servicedef.ParseAll([]byte(text), path)
	if err != nil {
		return nil, err
	}
	read, err := servicedir.Read(dir)
	if err != nil {
		return nil, err
	}
	for _, service := range services {
		if other, err := read.Find(service.Name); err == nil && other.File != path {
			return nil, fault.New(fault.Conflict, "%s defines service %s already", other.File, service.Name)
		}
		if err := read.CollisionsOf(service); err != nil {
			return nil, err
		}
	}
	return services[0], nil
}
