package fleet

// PortRequest asks for host ports for one component of one deployment.
type PortRequest struct {
	Service    string `json:"service"`
	Component  string `json:"component"`
	Deployment int    `json:"deployment"`
	Node       string `json:"node"`
	// Routes want any free port each; HostPort is ignored.
	Routes []Route `json:"routes,omitempty"`
	// Static are the ports that the definition itself names.
	Static []StaticPort `json:"static,omitempty"`
	// Candidates are ports that were free on the node, in order of preference.
	Candidates []int `json:"candidates,omitempty"`
	// Taken are ports that the engine refused to bind: what this deployment
	// holds of them is set aside to rest, and none is handed out.
	Taken []int `json:"taken,omitempty"`
}

// StaticPort is a host port that the definition names.
type StaticPort struct {
	Protocol string `json:"protocol"`
	HostPort int    `json:"host_port"`
}
