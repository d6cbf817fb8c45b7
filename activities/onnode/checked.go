package onnode

import (
	"slices"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/policy"
)

// Checked returns the part of a survey that can be true.
func (r SurveyResult) Checked() SurveyResult {
	r.Containers = fleet.CheckedContainers(r.Containers)
	r.FreePorts = slices.DeleteFunc(r.FreePorts, func(port int) bool { return port < 1 || port > fleet.MaxPort })
	r.Policy = policy.Policy{File: r.Policy}.Checked().File
	for component, broken := range r.Forbidden {
		r.Forbidden[component] = policy.CheckedViolations(broken)
	}
	r.Address = fleet.NodeRecord{Address: r.Address}.Checked().Address
	r.Refuses, r.RefusesHint = fleet.Text(r.Refuses, maxRefusal), fleet.Text(r.RefusesHint, maxRefusal)
	return r
}

// maxRefusal bounds a reason that a node gives, in bytes.
const maxRefusal = 1 << 10
