package fleet

import (
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// BeginRequest opens a deployment.
type BeginRequest struct {
	Definition servicedef.Service `json:"definition"`
	// DefinitionHash distinguishes two definitions.
	DefinitionHash string `json:"definition_hash"`
	// Given is the definition that the operator gave, of which this deployment
	// may apply only a part; nil if none was given.
	Given      *servicedef.Service `json:"given,omitempty"`
	Verb       string              `json:"verb"`
	WorkflowID string              `json:"workflow_id"`
	RunID      string              `json:"run_id"`
	// Who requested it, and From which machine.
	Who  string `json:"who"`
	From string `json:"from"`
	// Claims are the endpoints of the definition, which the control worker sets.
	Claims []Endpoint `json:"-"`
}

// BeginResult is the number of the deployment, and the release that it replaces.
type BeginResult struct {
	Number  int     `json:"number"`
	Release Release `json:"release"`
	// Interim reports whether a deployment that was lost has made edges serve something
	// other than the release.
	Interim bool `json:"interim,omitempty"`
}

// CommitRequest makes a deployment the release.
type CommitRequest struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	// Run is the deployment's.
	Run    string `json:"run,omitempty"`
	Active bool   `json:"active"`
	// Members are the components of the new release; a component of the former
	// release that is not among them is dropped.
	Members []Member `json:"members"`
	// Jobs are the jobs of the new release.
	Jobs []Job `json:"jobs,omitempty"`
	// StepImages are the images that only steps of the new release have, with their
	// digests.
	StepImages map[string]string `json:"step_images,omitempty"`
	// Static are the static ports of the containers that this deployment has
	// started. Each moves from the component that held it.
	Static []StaticPort `json:"static,omitempty"`
	// Adopted are those of the members' containers that mcp takes over now.
	Adopted []Adopted `json:"adopted,omitempty"`
	// Addresses are where the nodes that have answered publish routes, by node: a registry
	// that was restored or emptied may lack them.
	Addresses map[string]string `json:"addresses,omitempty"`
	// Definition is that of the release, if it is not the one that the deployment was
	// begun with; nil if it is.
	Definition *servicedef.Service `json:"definition,omitempty"`
	// Claims are the endpoints of that definition, which the control worker sets.
	Claims []Endpoint `json:"-"`
	// Succeeds reports whether the deployment has succeeded with it, and only has to
	// remove its predecessors.
	Succeeds bool `json:"succeeds,omitempty"`
	// Secrets reports whether the service has secrets of its own, or had some: versions
	// that no release needs any more are dropped.
	Secrets bool `json:"secrets,omitempty"`
	// KeptReleases is how many of the service's last releases keep their images, and
	// FormerReleases how many before those are examined; the control worker sets
	// both.
	KeptReleases   int `json:"-"`
	FormerReleases int `json:"-"`
}

// FormerImage is an image of a former release: the reference in the definition and
// the digest that it resolved to.
type FormerImage struct {
	Image, Digest string
	// TagUsed and DigestUsed report whether anything still refers to them.
	TagUsed, DigestUsed bool
}

// CommitResult names the images that no release needs any more: those of the
// service's former releases, without the images that any service runs or may be
// rolled back to.
type CommitResult struct {
	// Digests are references by digest, by which containers run on nodes.
	Digests []string `json:"digests,omitempty"`
	// Tags are the references that builders gave them.
	Tags []string `json:"tags,omitempty"`
	// Publishing is what edges have yet to serve; nil if they neither serve nor served the
	// service.
	Publishing *Publishing `json:"publishing,omitempty"`
	// Secrets are the versions of secrets that are kept, if the request asks for them.
	Secrets []SecretRef `json:"secrets,omitempty"`
}

// FinishRequest closes a deployment.
type FinishRequest struct {
	Service    string `json:"service"`
	Deployment int    `json:"deployment"`
	// Run is the deployment's.
	Run string `json:"run,omitempty"`
	// Outcome is "succeeded", "unchanged", "failed" or "cancelled".
	Outcome string `json:"outcome"`
	// ErrorKind and ErrorMessage are "" unless it failed.
	ErrorKind    string `json:"error_kind,omitempty"`
	ErrorMessage string `json:"error_message,omitempty"`
	// ErrorLog has the last lines of output of what it failed for, oldest first.
	ErrorLog []string `json:"error_log,omitempty"`
	// Undone are the steps of the undo, or of the retiring, that could not be
	// completed.
	Undone []string `json:"undone,omitempty"`
	// Dirty reports whether the nodes differ from the release because of this
	// deployment, or still because of an earlier one.
	Dirty bool `json:"dirty,omitempty"`
	// Nodes are those that may have something of this deployment; null if that is not
	// known: then they are those that its definition names.
	Nodes []string `json:"nodes"`
	// Answered are the nodes that have answered it: they belong to the fleet, even if the
	// registry has lost them.
	Answered []string `json:"answered,omitempty"`
	// ReleasePorts sets the service's ports that its release does not use to rest for
	// PortRest, which the control worker sets.
	ReleasePorts bool          `json:"release_ports,omitempty"`
	PortRest     time.Duration `json:"-"`
	// NotRetired are the nodes where predecessors of the release remain. Each is one
	// of the Events, which are added for the Destinations of alerts; the control
	// worker sets both.
	NotRetired   []NotRetired `json:"not_retired,omitempty"`
	FailedSteps  []FailedStep `json:"failed_steps,omitempty"`
	Events       []Event      `json:"-"`
	Destinations []string     `json:"-"`
}

// NotRetired is what a release could not remove of its predecessors on a node.
type NotRetired struct {
	Node       string   `json:"node"`
	Containers []string `json:"containers"`
	Problem    string   `json:"problem"`
}

// FailedStep is a step that a deployment has failed for.
type FailedStep struct {
	Node string `json:"node"`
	Step string `json:"step"`
	// Detail describes how it ended.
	Detail string `json:"detail"`
}

// MaxAhead bounds how far a node's answer raises the number of a deployment, which
// is past all that the registry has lost. A label with a greater number is not mcp's.
const MaxAhead = 1_000_000

// Credible reports whether a deployment of that number may have been lost, if the registry
// has given out current as the newest.
func Credible(number, current int) bool { return number > 0 && number-MaxAhead <= current }

// RenumberRequest moves a deployment that has just begun past a number that a node has
// seen, when the registry has lost deployments.
type RenumberRequest struct {
	Service string `json:"service"`
	RunID   string `json:"run_id"`
	// Floor is the number to exceed; it is at most MaxAhead past the present one.
	Floor int `json:"floor"`
}

// OpenRun is the workflow of a deployment that has no outcome yet.
type OpenRun struct{ Service, WorkflowID, RunID string }

// DeploymentRecord is a deployment as the registry keeps it, for display.
type DeploymentRecord struct {
	Service string `json:"service"`
	Number  int    `json:"number"`
	Verb    string `json:"verb"`
	// Outcome is one of FinishRequest's; "" while the deployment is under way,
	// and "lost" if its workflow was terminated, or timed out.
	Outcome string `json:"outcome"`
	// Retiring is set while it has succeeded and removes its predecessors.
	Retiring     bool   `json:"retiring,omitempty"`
	ErrorKind    string `json:"error_kind,omitempty"`
	ErrorMessage string `json:"error_message,omitempty"`
	// ErrorLog has the last lines of output of what it failed for, such as a
	// container, oldest first.
	ErrorLog []string `json:"error_log,omitempty"`
	Undone   []string `json:"undone,omitempty"`
	// Who requested it, and From which machine.
	Who        string    `json:"who"`
	From       string    `json:"from"`
	Started    time.Time `json:"started"`
	Finished   time.Time `json:"finished,omitzero"`
	WorkflowID string    `json:"workflow_id"`
	RunID      string    `json:"run_id"`
	// Active is false if no container runs after it: its definition is inactive, or has
	// no component.
	Active bool `json:"active"`
	// Sources are where the images come from whose tags git gave, by their names in
	// [build.images].
	Sources map[string]servicedef.Source `json:"sources,omitempty"`
}

// Succeeded reports whether the deployment has succeeded.
func (d DeploymentRecord) Succeeded() bool { return d.Outcome == "succeeded" }

// Remains are the parts of a service that keep it from being purged.
type Remains struct {
	Release Release
	// UnderWay is the number of the deployment that has not ended; 0 if there is
	// none.
	UnderWay int
}

// Forgotten counts what a purge has deleted of a service, or would delete: how many
// rows of each kind.
type Forgotten struct {
	Service string `json:"service"`
	// Deployments are those of any outcome, each with its definition and the
	// digests that a rollback to it would need.
	Deployments int `json:"deployments"`
	// Definitions is 1 where the operator has given one, whether it was deployed
	// or not.
	Definitions int `json:"definitions"`
	// Ports are those that still rest.
	Ports int `json:"ports"`
	// Events are those that the monitor has recorded of it, and Drift is what is
	// still open.
	Events int `json:"events"`
	Drift  int `json:"drift"`
	// Secrets are the service's own, each with all of its versions.
	Secrets int `json:"secrets"`
}

// Nothing reports whether there was nothing to delete.
func (f Forgotten) Nothing() bool { return f == Forgotten{Service: f.Service} }
