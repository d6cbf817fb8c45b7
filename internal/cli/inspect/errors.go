package inspect

import (
	"cmp"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/workflows/reads"
)

// unreadable returns the fault of a component whose lines could not be read; nil if
// they could.
func unreadable(service string, l reads.ComponentLogs) *fault.Error {
	if l.Error != nil {
		f := *l.Error
		f.Component = l.Component
		return &f
	}
	if l.Absent {
		f := fault.New(fault.NotFound, "there is no container %s", l.Container).WithHint("see what should run: mcp status %s", service)
		f.Node, f.Component = l.Node, l.Component
		return f
	}
	return nil
}

// usageIfUnknown makes it an error of usage that a service or a component does not
// exist.
func usageIfUnknown(err error) error {
	if _, ended := exit.CodeOf(err); !ended && fault.Is(err, fault.NotFound) {
		return exit.Usage(err)
	}
	return err
}

// placed returns an error with the place where it has occurred.
func placed(err error, at reads.ComponentLogs) *fault.Error {
	f := *exit.FaultOf(err)
	f.Node, f.Component = cmp.Or(f.Node, at.Node), cmp.Or(f.Component, at.Component)
	return &f
}
