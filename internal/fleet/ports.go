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
	// Giving are components of the service that give up their ports in this
	// deployment: Static may have ports that they hold. The component itself is
	// always one.
	Giving []string `json:"giving,omitempty"`
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

// HostPort is a port of a node.
type HostPort struct {
	Node     string `json:"node"`
	Protocol string `json:"protocol"`
	Port     int    `json:"port"`
}

// PortHolder holds a host port.
type PortHolder struct {
	HostPort
	Service   string `json:"service"`
	Component string `json:"component"`
	// Route is the one that has it; "" for a static port.
	Route string `json:"route,omitempty"`
	// Committed reports whether the release's container uses it, rather than a
	// deployment having only asked for it.
	Committed bool `json:"committed,omitempty"`
}

// String names the holder: "shop/web", or "shop/web, route http".
func (h PortHolder) String() string {
	if h.Route != "" {
		return h.Service + "/" + h.Component + ", route " + h.Route
	}
	return h.Service + "/" + h.Component
}

// StaticPort is a static port of a component's container.
type StaticPort struct {
	HostPort
	Component string `json:"component"`
}
