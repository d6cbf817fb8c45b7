// Package plan decides what a deploy has to do. It is pure: what is desired,
// what the registry has committed and what the nodes were seen to run go in,
// steps come out. It reads nothing, changes nothing and knows no clock.
package plan

import (
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// Release is what the registry holds of a service: what it should run, as of
// the last deployment that succeeded.
type Release struct {
	Service string `json:"service"`
	// Number is that deployment's number; 0 if none has succeeded yet.
	Number int `json:"number"`
	// Newest is the number of the newest deployment of any outcome.
	Newest int  `json:"newest"`
	Active bool `json:"active"`
	// Dirty is set when the last undo could not be completed, or when a deploy
	// was lost and none has put right since what it left.
	Dirty bool `json:"dirty"`
	// Touched are the nodes that a deployment may have left something on:
	// those of every definition since the last deployment that ended clean.
	Touched []string `json:"touched,omitempty"`
	// Draining are the nodes of the fleet that get no new container.
	Draining   []string                 `json:"draining,omitempty"`
	Definition *servicedef.Service      `json:"definition,omitempty"`
	Components map[string]ReleaseMember `json:"components,omitempty"`
	// Adopted are containers of the service that mcp has not started.
	Adopted []Adopted `json:"adopted,omitempty"`
}

// ReleaseMember is one component of a Release.
type ReleaseMember struct {
	Component string `json:"component"`
	Container string `json:"container"`
	Node      string `json:"node"`
	// Deployment is the number of the deployment that made the container, or
	// adopted it, which is older than the release where the component was left alone.
	Deployment int `json:"deployment"`
	// Image is the reference as the definition wrote it, Digest its manifest.
	Image  string `json:"image"`
	Digest string `json:"digest"`
	// Spec is the container's mcp.spec label, or what it would be.
	Spec string `json:"spec"`
	// Active is false where the component was stopped on purpose.
	Active bool        `json:"active"`
	Routes []RoutePort `json:"routes,omitempty"`
}

// RoutePort is a route with the host port that was allocated for it.
type RoutePort struct {
	Name     string `json:"name"`
	Port     int    `json:"port"`
	Mode     string `json:"mode"`
	Hostname string `json:"hostname,omitempty"`
	HostPort int    `json:"host_port"`
}

// PortRequest asks for host ports for one component of one deployment.
type PortRequest struct {
	Service    string `json:"service"`
	Component  string `json:"component"`
	Deployment int    `json:"deployment"`
	Node       string `json:"node"`
	// Routes want any free port each; HostPort is ignored.
	Routes []RoutePort `json:"routes,omitempty"`
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

// BeginRequest opens a deployment.
type BeginRequest struct {
	Definition servicedef.Service `json:"definition"`
	// DefinitionHash tells two definitions apart.
	DefinitionHash string `json:"definition_hash"`
	// Given is the definition that the operator gave, of which this deployment
	// may bring about a part; nil where none was given.
	Given      *servicedef.Service `json:"given,omitempty"`
	Verb       string              `json:"verb"`
	WorkflowID string              `json:"workflow_id"`
	RunID      string              `json:"run_id"`
	// Who asked, from which machine.
	Who  string `json:"who"`
	From string `json:"from"`
}

// BeginResult is the number of the deployment, and what it starts from.
type BeginResult struct {
	Number  int     `json:"number"`
	Release Release `json:"release"`
}

// CommitRequest makes a deployment the release.
type CommitRequest struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	Active     bool   `json:"active"`
	// Members are the components as they now are; a component of the former
	// release that is not among them is dropped.
	Members []ReleaseMember `json:"members"`
	// Adopted are those of the members' containers that mcp takes over now.
	Adopted []Adopted `json:"adopted,omitempty"`
	// Definition is what runs, where that is not what the deployment was begun
	// with; nil where it is.
	Definition *servicedef.Service `json:"definition,omitempty"`
}

// CommitResult names the images that no release needs any more: those of the
// service's releases that are too old to go back to at once, less what any
// service runs, or could go back to.
type CommitResult struct {
	// Digests are references by digest, by which containers run on nodes.
	Digests []string `json:"digests,omitempty"`
	// Tags are the references that builders have given them.
	Tags []string `json:"tags,omitempty"`
}

// FinishRequest closes a deployment.
type FinishRequest struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	// Outcome is "succeeded", "unchanged", "failed" or "cancelled".
	Outcome string `json:"outcome"`
	// ErrorKind and ErrorMessage are "" unless it failed.
	ErrorKind    string `json:"error_kind,omitempty"`
	ErrorMessage string `json:"error_message,omitempty"`
	// Undone are the steps of the undo (or of the retiring) that could not be
	// completed.
	Undone []string `json:"undone,omitempty"`
	// Dirty says that something of the service is not as its release has it,
	// by this deployment's doing or still by an earlier one's.
	Dirty bool `json:"dirty,omitempty"`
	// ReleasePorts lets the service's ports rest that its release does not use,
	// for PortRest, which is the control worker's to say.
	ReleasePorts bool          `json:"release_ports,omitempty"`
	PortRest     time.Duration `json:"-"`
}

// NodeRecord is a node as its worker announced it.
type NodeRecord struct {
	Name string `json:"name"`
	// Address is where its routes are published.
	Address string    `json:"address"`
	Runtime string    `json:"runtime"`
	Version string    `json:"version"` // mcp's
	Seen    time.Time `json:"seen,omitzero"`
	// Boot tells this boot of its host from others; "" where that is unknown.
	Boot string `json:"boot,omitempty"`
}

// Boot is what is to be done for the boot of a node's host.
type Boot struct {
	// New says that its containers have not been started again since.
	New bool `json:"new"`
	// Services are those that the node should run a container of, or may have
	// to when the deploy that is under way has ended.
	Services []string `json:"services,omitempty"`
}

// ServiceRecord is a service as the registry knows it, for showing.
type ServiceRecord struct {
	Release Release `json:"release"`
	// Deploying is the number of the deployment under way; 0 if none.
	Deploying int `json:"deploying"`
	// Pending is set when the definition that the operator gave last is not
	// the release's.
	Pending bool `json:"pending"`
}

// DeploymentRecord is a deployment as the registry keeps it, for showing.
type DeploymentRecord struct {
	Service string `json:"service"`
	Number  int    `json:"number"`
	Verb    string `json:"verb"`
	// Outcome is one of FinishRequest's; "" while the deployment is under way,
	// and "lost" when somebody terminated its workflow.
	Outcome      string   `json:"outcome"`
	ErrorKind    string   `json:"error_kind,omitempty"`
	ErrorMessage string   `json:"error_message,omitempty"`
	Undone       []string `json:"undone,omitempty"`
	// Who asked, from which machine.
	Who        string    `json:"who"`
	From       string    `json:"from"`
	Started    time.Time `json:"started"`
	Finished   time.Time `json:"finished,omitzero"`
	WorkflowID string    `json:"workflow_id"`
	RunID      string    `json:"run_id"`
}

// Snapshot is a former release, with all that it takes to deploy it again.
type Snapshot struct {
	Number     int                `json:"number"`
	Definition servicedef.Service `json:"definition"`
	// Digests maps the references of the definition to what they stood for.
	Digests map[string]string `json:"digests"`
}

// RenumberRequest moves a deployment that has just begun past a number that a
// node has seen: the registry has forgotten deployments.
type RenumberRequest struct {
	Service string `json:"service"`
	RunID   string `json:"run_id"`
	// Floor is the number to pass.
	Floor int `json:"floor"`
}
