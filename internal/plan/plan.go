package plan

import (
	"slices"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// Plan is what a deploy will do, in the order in which it will do it.
type Plan struct {
	Service  string     `json:"service"`
	Active   bool       `json:"active"`
	Recovery []Recovery `json:"recovery,omitempty"`
	Steps    []Step     `json:"steps"`
	// Jobs is what becomes of each job.
	Jobs []JobStep `json:"jobs,omitempty"`
	// Tasks are the steps of the definition that it runs, in their order.
	Tasks []Task `json:"tasks,omitempty"`
	// Definition is set when the release's definition differs, even if no container
	// is touched for that.
	Definition bool `json:"definition"`
	// Unreachable are nodes that only hold containers to remove and did not answer:
	// these containers stay until the nodes are back.
	Unreachable []string `json:"unreachable,omitempty"`
	// Edges is what becomes of each endpoint that edges serve, in their order.
	Edges []EdgeChange `json:"edges,omitempty"`
	// Warnings are what keeps clients from reaching the service, a sentence each.
	Warnings []string `json:"warnings,omitempty"`
}

// JobStep is what a plan does to one job: no container is touched for it.
type JobStep struct {
	Job     string   `json:"job"`
	Node    string   `json:"node"`
	Action  Action   `json:"action"`
	Changes []Change `json:"changes,omitempty"`
	// Schedule is the job's, in Timezone; "" if the plan ends it.
	Schedule string `json:"schedule,omitempty"`
	Timezone string `json:"timezone,omitempty"`
	// Next is when it is due next; zero if that is not known, or if it is not due.
	Next time.Time `json:"next,omitzero"`
	// Paused is set if its schedule is paused.
	Paused bool `json:"paused,omitempty"`
}

// Task is a step of the definition that the deploy runs.
type Task struct {
	Name string          `json:"name"`
	When servicedef.When `json:"when"`
	Node string          `json:"node"`
	// Image is that of the definition, and Cmd the command; empty for the image's own.
	Image string   `json:"image"`
	Cmd   []string `json:"cmd,omitempty"`
	// After are the components that it depends on.
	After   []string `json:"after,omitempty"`
	Changes []Change `json:"changes,omitempty"`
}

// EdgeChange is what a plan does to one endpoint of the edges.
type EdgeChange struct {
	Endpoint fleet.Endpoint `json:"endpoint"`
	// URL is where clients reach it: at the first edge, if edges differ in that.
	URL string `json:"url"`
	// Components are those that serve it, or have served it.
	Components []string `json:"components"`
	// Redirect is the hostname to which requests are redirected; "" if they are served.
	Redirect string `json:"redirect,omitempty"`
	// Action is Create, Replace, Keep or Remove. Keep is also for an endpoint whose
	// requests go to new containers.
	Action Action `json:"action"`
	// Changes are the options that differ. Hashes of passwords are not shown.
	Changes []Change `json:"changes,omitempty"`
}

// Recovery restores the release on a node before anything else is done there: it
// removes what a deploy that never ended left behind.
type Recovery struct {
	Node   string      `json:"node"`
	Remove []fleet.Ref `json:"remove,omitempty"`
	Rename []Rename    `json:"rename,omitempty"`
	Start  []fleet.Ref `json:"start,omitempty"`
}

// Rename gives a container another name.
type Rename struct {
	ID   string `json:"id,omitempty"`
	From string `json:"from"`
	To   string `json:"to"`
}

func (r Recovery) empty() bool { return len(r.Remove)+len(r.Rename)+len(r.Start) == 0 }

// Unchanged reports whether there is nothing to do at all.
func (p Plan) Unchanged() bool {
	return len(p.Recovery) == 0 && len(p.Unreachable) == 0 && !p.Definition && !p.TouchesContainers() && !p.ChangesJobs()
}

// TouchesContainers reports whether any step does more than keep.
func (p Plan) TouchesContainers() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Action != Keep })
}

// ChangesJobs reports whether any job is not kept as it is.
func (p Plan) ChangesJobs() bool {
	return slices.ContainsFunc(p.Jobs, func(s JobStep) bool { return s.Action != Keep })
}

// EndsJobs reports whether runs that are under way end with the plan: the service does
// not run any more. A deploy that only drops a job leaves its run alone.
func (p Plan) EndsJobs() bool {
	return !p.Active && slices.ContainsFunc(p.Jobs, func(s JobStep) bool { return s.Action == Stop || s.Action == Remove })
}

// Follows reports whether any container is replaced or removed.
func (p Plan) Follows() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool { return s.Action == Replace || s.Action == Remove })
}

// Starts returns the steps that run a new container, in waves.
func (p Plan) Starts() [][]Step { return p.waves(Create, Replace) }

// Ends returns the steps that remove a component, in waves: dependents end before
// what they depend on.
func (p Plan) Ends() [][]Step {
	waves := p.waves(Remove)
	slices.Reverse(waves)
	return waves
}

// waves groups the steps of some actions by their wave.
func (p Plan) waves(actions ...Action) [][]Step {
	var waves [][]Step
	for _, step := range p.Steps {
		if !slices.Contains(actions, step.Action) {
			continue
		}
		for len(waves) <= step.Wave {
			waves = append(waves, nil)
		}
		waves[step.Wave] = append(waves[step.Wave], step)
	}
	return waves
}
