package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"go.temporal.io/api/enums/v1"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/workflows"
)

// rows are what Postgres has of a service. psql reads them, so that the checker
// does not believe what the code it checks says of itself.
type rows struct {
	Release     int
	Active      bool
	Dirty       bool
	Deployments []deployment
	Components  []member
	Ports       []port
	Adopted     []adopted
}

// adopted is a container that is the service's without its labels.
type adopted struct {
	Container  string // its id
	Deployment int
}

type deployment struct {
	Number                        int
	Outcome, Kind, Message, RunID string
	Undone                        []string
	Dirty                         bool
	// Told is the outcome that its workflow gave to whoever asked, from
	// Temporal; "open" if it has not ended.
	Told string
}

type member struct {
	Name, Container, Node, Image, Digest string
	Deployment                           int
	Active                               bool
}

// key is that of the container it should be.
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
) from services s where name = '%s'`

func (p *play) rows(ctx context.Context) (rows, error) {
	var r rows
	out, err := exec.CommandContext(ctx, "psql", p.rig.postgres, "-X", "-A", "-t", "-c", fmt.Sprintf(rowsQuery, p.service)).Output()
	if err != nil {
		return r, fmt.Errorf("ask Postgres: %w", err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("read %q: %w", out, err)
	}
	for i := range r.Deployments {
		if r.Deployments[i].Told, err = p.told(ctx, r.Deployments[i].RunID); err != nil {
			return r, fmt.Errorf("ask Temporal of deployment %d: %w", r.Deployments[i].Number, err)
		}
	}
	return r, nil
}

// told is the outcome that a run of the service's workflow gave.
func (p *play) told(ctx context.Context, run string) (string, error) {
	id := workflows.DeployID(p.service)
	described, err := p.rig.temporal.DescribeWorkflow(ctx, id, run)
	switch {
	case err != nil, described.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING:
		return "open", err
	case described.Status == enums.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return "lost", nil
	}
	var result workflows.Result
	err = p.rig.temporal.GetWorkflow(ctx, id, run).Get(ctx, &result)
	if err != nil && !workflows.ResultOf(err, &result) {
		return "", err
	}
	return string(result.Outcome), nil
}

// containers are what the podmans have of a service, by label or by name.
func (p *play) containers(ctx context.Context) ([]found, error) {
	all, err := p.rig.containers(ctx)
	return slices.DeleteFunc(all, func(c found) bool {
		return c.Labels[runtime.LabelService] != p.service && !strings.HasPrefix(c.Name, p.service+"-")
	}), err
}
