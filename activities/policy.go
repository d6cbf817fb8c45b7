package activities

import (
	"github.com/metacircular/mcp/internal/policy"
)

// Policies is what Node and Builder need to know about the policy of their host.
type Policies interface {
	// Policy reads the policy as it is now.
	Policy() policy.Policy
	// Place finds what a path leads to.
	Place(path string) policy.Place
	// Mounted returns the file that a process finds at a path of its own; false if that
	// cannot be found out.
	Mounted(pid int, target string) (policy.FileID, bool)
}
