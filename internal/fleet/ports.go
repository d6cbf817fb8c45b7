package fleet

import "github.com/metacircular/mcp/servicedef"

// PortRequest asks for host ports for one component of one deployment.
type PortRequest struct {
	Service    string `json:"service"`
	Component  string `json:"component"`
	Deployment int    `json:"deployment"`
	// Run is the deployment's.
	Run  string `json:"run,omitempty"`
	Node string `json:"node"`
	// Routes get any free port each; their HostPort is ignored.
	Routes []Route `json:"routes,omitempty"`
	// Static are the ports that the definition itself names, or that an adopted
	// container publishes; their protocols and host ports count.
	Static []servicedef.Port `json:"static,omitempty"`
	// Candidates are ports that were free on the node, in order of preference.
	Candidates []int `json:"candidates,omitempty"`
	// Taken are ports that the engine refused to bind: those of them that this
	// deployment holds are set to rest, and none is handed out.
	Taken []int `json:"taken,omitempty"`
}
