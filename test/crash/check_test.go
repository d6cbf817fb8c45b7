package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/workflows"
)

// verdict is how a play ended.
type verdict string

const (
	finished verdict = "finished"
	putBack  verdict = "put back"
	wrong    verdict = "wrong"
)

// rows are what Postgres has of a service, read by psql: the checker leans on
// nothing of mcp's own.
type rows struct {
	Release     int
	Active      bool
	Dirty       bool
	Deployments []struct {
		Number                        int
		Outcome, Kind, Message, RunID string
		Undone                        []string
	}
	Components []struct {
		Name, Container, Image, Digest string
		Deployment                     int
		Active                         bool
	}
	Ports []struct {
		Port               int
		Component          string
		Committed, Resting bool
	}
}

const rowsQuery = `select json_build_object(
 'release', coalesce(release, 0), 'active', active, 'dirty', dirty,
 'deployments', (select json_agg(json_build_object('number', number, 'outcome', coalesce(outcome, ''), 'kind', error_kind,
   'message', error_message, 'runid', run_id, 'undone', undone) order by number) from deployments where service = s.name),
 'components', (select json_agg(json_build_object('name', name, 'container', container, 'image', image, 'digest', digest,
   'deployment', deployment, 'active', active) order by name) from components where service = s.name),
 'ports', (select json_agg(json_build_object('port', host_port, 'component', component, 'committed', committed,
   'resting', rests_until is not null)) from component_routes where service = s.name)
) from services s where name = '%s'`

func (p *play) rows(ctx context.Context) (rows, error) {
	var r rows
	out, err := exec.CommandContext(ctx, "psql", p.rig.postgres, "-X", "-A", "-t", "-c", fmt.Sprintf(rowsQuery, p.service)).Output()
	if err != nil {
		return r, fmt.Errorf("ask Postgres: %w", err)
	}
	return r, json.Unmarshal(out, &r)
}

// containers are what podman has of a service, by label or by name.
func (p *play) containers(ctx context.Context) ([]runtime.ContainerInfo, error) {
	all, err := p.rig.engine.List(ctx, nil)
	return slices.DeleteFunc(all, func(c runtime.ContainerInfo) bool {
		return c.Labels[runtime.LabelService] != p.service && !strings.HasPrefix(c.Name, p.service+"-")
	}), err
}

// judge looks at what the play has left, from podman, Postgres and Temporal
// themselves. The error says all that is wrong.
func (p *play) judge() (verdict, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := p.rows(ctx)
	if err != nil {
		return wrong, err
	}
	containers, err := p.containers(ctx)
	if err != nil {
		return wrong, err
	}
	if err := errors.Join(p.judgeRows(ctx, r), p.judgeCLI(r), judgeContainers(r, containers), judgePorts(r, containers), p.judgeService(ctx, r)); err != nil {
		return wrong, err
	}
	number := 1 // what the story deploys
	if p.story.before != nil {
		number = 2
	}
	if r.Release >= number {
		return finished, nil
	}
	return putBack, nil
}

// judgeRows asks whether each deployment's row tells the truth.
func (p *play) judgeRows(ctx context.Context, r rows) error {
	var problems []error
	say := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	released := 0
	for _, d := range r.Deployments {
		described, err := p.rig.temporal.DescribeWorkflow(ctx, workflows.DeployID(p.service), d.RunID)
		if err != nil {
			return fmt.Errorf("ask Temporal: %w", err)
		}
		if described.Status == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			say("the workflow of deployment %d is open", d.Number)
			continue
		}
		var result workflows.Result
		err = p.rig.temporal.GetWorkflow(ctx, workflows.DeployID(p.service), d.RunID).Get(ctx, &result)
		if err != nil && !workflows.ResultOf(err, &result) {
			say("the workflow of deployment %d has no result: %w", d.Number, err)
		}
		if string(result.Outcome) != d.Outcome {
			say("deployment %d is %q in its row and %q in its workflow", d.Number, d.Outcome, result.Outcome)
		}
		if len(d.Undone) > 0 {
			say("deployment %d left undone: %s", d.Number, strings.Join(d.Undone, "; "))
		}
		if d.Outcome == string(workflows.Failed) && (d.Kind == "" || d.Message == "") {
			say("deployment %d failed without an error", d.Number)
		}
		if d.Outcome == string(workflows.Failed) && p.story.ends == putBack && d.Kind != "Unhealthy" && !p.story.cancel {
			say("deployment %d was of an unhealthy version, and its error is %s: %s", d.Number, d.Kind, d.Message)
		}
		if d.Outcome == string(workflows.Succeeded) {
			released = d.Number
		}
	}
	if r.Release != released {
		say("the release is %d, and the last deployment that succeeded %d", r.Release, released)
	}
	if r.Dirty {
		say("the service is dirty")
	}
	return errors.Join(problems...)
}

// judgeCLI asks whether the operator was told the truth.
func (p *play) judgeCLI(r rows) error {
	cli := p.cli.now().(*command)
	if len(r.Deployments) == 0 {
		return errors.New("there is no deployment")
	}
	last := r.Deployments[len(r.Deployments)-1]
	good := last.Outcome == string(workflows.Succeeded) || last.Outcome == string(workflows.Unchanged)
	if good && cli.code() == 0 || !good && cli.code() == 1 {
		return nil
	}
	return fmt.Errorf("the command line ended with %d, and deployment %d is %q (%s): %s", cli.code(), last.Number, last.Outcome, last.Message, cli.stderr.String())
}

// judgeContainers asks whether exactly what the release names is there.
func judgeContainers(r rows, containers []runtime.ContainerInfo) error {
	var problems []error
	left := map[string]runtime.ContainerInfo{}
	for _, c := range containers {
		left[c.Name] = c
	}
	for _, want := range r.Components {
		have, ok := left[want.Container]
		delete(left, want.Container)
		switch {
		case !ok:
			problems = append(problems, fmt.Errorf("container %s is missing", want.Container))
		case (have.State == runtime.Running) != want.Active:
			problems = append(problems, fmt.Errorf("container %s is %s, and active is %v", have.Name, have.State, want.Active))
		case have.Labels[runtime.LabelDeployment] != fmt.Sprint(want.Deployment) || !strings.HasSuffix(have.Image, want.Digest):
			problems = append(problems, fmt.Errorf("container %s is deployment %s of %s, and should be %d of %s",
				have.Name, have.Labels[runtime.LabelDeployment], have.Image, want.Deployment, want.Digest))
		}
	}
	for name, c := range left {
		problems = append(problems, fmt.Errorf("container %s (%s, deployment %s) is nobody's", name, c.State, c.Labels[runtime.LabelDeployment]))
	}
	return errors.Join(problems...)
}

// judgePorts asks whether Postgres and podman agree on who holds which port.
func judgePorts(r rows, containers []runtime.ContainerInfo) error {
	var held, published []int
	for _, port := range r.Ports {
		switch {
		case port.Committed:
			held = append(held, port.Port)
		case !port.Resting:
			return fmt.Errorf("port %d of %s is held by no release", port.Port, port.Component)
		}
	}
	for _, c := range containers {
		for _, port := range c.Ports {
			published = append(published, port.HostPort)
		}
	}
	slices.Sort(held)
	slices.Sort(published)
	if !slices.Equal(held, published) {
		return fmt.Errorf("Postgres has the ports %v, and podman %v", held, published)
	}
	return nil
}

// judgeService asks the service itself, and its data.
func (p *play) judgeService(ctx context.Context, r rows) error {
	var problems []error
	if r.Active && len(r.Components) > 0 {
		want := r.Components[0].Image[strings.LastIndex(r.Components[0].Image, ":")+1:]
		if got, err := ask(p.routePort(ctx)); err != nil || got != want {
			problems = append(problems, fmt.Errorf("the service answers %q (%v), and should %q", got, err, want))
		}
	}
	if data, err := os.ReadFile(filepath.Join(p.volume(), "precious")); err != nil || string(data) != p.service {
		problems = append(problems, fmt.Errorf("the volume's data is %q (%v)", data, err))
	}
	if text, err := os.ReadFile(filepath.Join(p.volume(), "overlap")); err == nil {
		problems = append(problems, fmt.Errorf("two containers had the volume at once: %s", text))
	}
	return errors.Join(problems...)
}
