package onbuilder

import (
	"context"

	"github.com/metacircular/mcp/servicedef"
)

// Sources is what Builder needs to know about the sources of builds.
type Sources interface {
	// Read returns the state of the sources and a hash of all that goes into the build.
	// Sources that differ from their commit are Invalid, unless the query accepts them.
	Read(ctx context.Context, q servicedef.SourceQuery) (servicedef.BuildSources, error)
	// Describe returns the commit of the sources, and whether they differ from it.
	Describe(ctx context.Context, q servicedef.SourceQuery) (servicedef.BuildSources, error)
}
