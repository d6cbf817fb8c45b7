package crash

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/api/enums/v1"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/workflows"
)

// rows are the rows of a service.
type rows struct {
	Release     int
	Active      bool
	Dirty       bool
	Deployments []deployment
	Components  []member
	Ports       []port
	Adopted     []adopted
}

// adopted is a container that belongs to the service without labels.
type adopted struct {
	Container  string // its id
	Deployment int
}

type deployment struct {
	Number                        int
	Outcome, Kind, Message, RunID string
	Undone                        []string
	Dirty                         bool
	// Result is the outcome of its workflow, from Temporal; "open" if it has not
	// ended.
	Result string
}

type member struct {
	Name, Container, Node, Image, Digest string
	Deployment                           int
	Active                               bool
}

// key is the key of its container.
func (m member) key() string { return m.Node + "/" + m.Container }

type port struct {
	Port               int
	Component, Node    string
	Committed, Resting bool
}

const rowsQuery = `select json_build_object(
 'release', coalesce(release, 0), 'active', active, 'dirty', dirty,
 'deployments', (select json_agg(json_build_object('number', number, 'outcome', coalesce(outcome, ''), 'kind', error_kind,
   'message', error_message, 'runid', run_id, 'undone', undone, 'dirty', dirty) order by number) from deployments where service = s.name),
 'components', (select json_agg(json_build_object('name', name, 'container', container, 'node', node, 'image', image, 'digest', digest,
   'deployment', deployment, 'active', active) order by name) from components where service = s.name),
 'ports', (select json_agg(json_build_object('port', host_port, 'component', component, 'node', node, 'committed', committed,
   'resting', rests_until is not null)) from component_routes where service = s.name),
 'adopted', (select json_agg(json_build_object('container', container_id, 'deployment', deployment)) from adopted_containers where service = s.name)
) from services s where name = $1`

func (fc *faultCase) rows(ctx context.Context) (rows, error) {
	var r rows
	err := fc.rig.ask(ctx, &r, rowsQuery, fc.service)
	if err != nil {
		return r, err
	}
	for i := range r.Deployments {
		if fc.scenario.loses == allWorkflows && r.Deployments[i].Number <= fc.scenario.released() {
			r.Deployments[i].Result = r.Deployments[i].Outcome // it is not known any more
			continue
		}
		if r.Deployments[i].Result, err = fc.outcome(ctx, r.Deployments[i].RunID); err != nil {
			return r, fmt.Errorf("ask Temporal for deployment %d: %w", r.Deployments[i].Number, err)
		}
	}
	return r, nil
}

// outcome returns the outcome of a run of the service's workflow.
func (fc *faultCase) outcome(ctx context.Context, run string) (string, error) {
	id := workflows.DeployID(fc.service)
	described, err := fc.rig.temporal.DescribeWorkflow(ctx, id, run)
	switch {
	case err != nil, described.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return "open", err
	case described.Status == enums.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return "lost", nil
	}
	var result workflows.Result
	err = fc.rig.temporal.GetWorkflow(ctx, id, run).Get(ctx, &result)
	if err != nil && !workflows.ResultOf(err, &result) {
		return "", err
	}
	return string(result.Outcome), nil
}

// containers returns the containers of the service, by label or by name.
func (fc *faultCase) containers(ctx context.Context) ([]found, error) {
	all, err := fc.rig.containers(ctx)
	return slices.DeleteFunc(all, func(c found) bool {
		return c.Labels[runtime.LabelService] != fc.service && !strings.HasPrefix(c.Name, fc.service+"-")
	}), err
}
