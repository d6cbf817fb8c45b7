package tend

import (
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/activities/onedge"
	"github.com/metacircular/mcp/activities/onnode"
)

// Activities are called through typed nil pointers: only their names count.
var (
	control *oncontrol.Control
	node    *onnode.Node
	edge    *onedge.Edge
)
