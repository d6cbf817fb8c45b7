package activities

import (
	"slices"

	"github.com/metacircular/mcp/internal/fleet"
)

// Checked returns the part of a survey that can be true.
func (r SurveyResult) Checked() SurveyResult {
	r.Containers = fleet.CheckedContainers(r.Containers)
	r.FreePorts = slices.DeleteFunc(r.FreePorts, func(port int) bool { return port < 1 || port > fleet.MaxPort })
	r.Address = fleet.NodeRecord{Address: r.Address}.Checked().Address
	return r
}
