package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/workflows"
)

// verdict is how a case ended.
type verdict string

const (
	finished verdict = "finished"
	putBack  verdict = "put back"
	wrong    verdict = "wrong"
)

// judge checks the state that the case has left in podman, Postgres and Temporal.
// The error names all that is wrong.
func (fc *faultCase) judge() (verdict, error) {
	if err := fc.judgeJob(); err != nil {
		return wrong, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if fc.scenario.purges() {
		return fc.judgePurge(ctx)
	}
	r, err := fc.rows(ctx)
	if err != nil {
		return wrong, err
	}
	containers, err := fc.containers(ctx)
	if err != nil {
		return wrong, err
	}
	if fc.survivor.ID != "" && fc.scenario.loses != allWorkflows && r.Release <= fc.scenario.released() {
		return putBack, fc.survived(r, containers)
	}
	containers, foreign := fc.byHandState(r, containers)
	if err := errors.Join(foreign, judgeAll(r, containers, fc.allowed()), fc.judgeCLI(r), fc.judgeService(ctx, r), fc.judgeEdge(r), fc.judgeNames(ctx)); err != nil {
		return wrong, err
	}
	for _, d := range r.Deployments {
		fc.cause = d.Message
	}
	if r.Release > fc.scenario.released() {
		return finished, nil
	}
	return putBack, nil
}

// allowed is how a deployment may have failed.
type allowed struct {
	// causes are the kinds of error that it may have.
	causes []string
	// undone is set where its undo may have left something to Mend.
	undone bool
}

// judgeAll checks that Postgres, Temporal and podman agree.
func judgeAll(r rows, containers []found, may allowed) error {
	return errors.Join(judgeRows(r, may), judgeContainers(r, containers), judgePorts(r, containers))
}

// judgeRows checks that each deployment's row agrees with its workflow.
func judgeRows(r rows, may allowed) error {
	var problems []error
	say := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	released := 0
	for _, d := range r.Deployments {
		if d.Result != d.Outcome {
			say("deployment %d is %q in its row and %q in its workflow", d.Number, d.Outcome, d.Result)
		}
		if len(d.Undone) > 0 && !may.undone {
			say("deployment %d left undone: %s", d.Number, strings.Join(d.Undone, "; "))
		}
		if d.Outcome == string(workflows.Failed) && (d.Message == "" || !slices.Contains(may.causes, d.Kind)) {
			say("deployment %d failed, and its error is %s: %s", d.Number, d.Kind, d.Message)
		}
		if d.Outcome == string(workflows.Succeeded) {
			released = d.Number
		}
	}
	if len(r.Deployments) == 0 {
		say("there is no deployment")
	}
	if r.Release != released {
		say("the release is %d, and the last deployment that succeeded %d", r.Release, released)
	}
	if r.Dirty {
		say("the service is dirty")
	}
	return errors.Join(problems...)
}

// allowed returns how a deployment of this case may fail: a target was away, or the
// new version is not healthy.
func (fc *faultCase) allowed() allowed {
	// Where a deploy was terminated, and the next one cannot reach the node either,
	// Mend must remove what the first one left. And an undeploy needs no node to
	// answer.
	unreached := fc.target != "" && (fc.scenario.terminated != nil || slices.Contains(fc.scenario.verb, "undeploy"))
	may := allowed{undone: fc.how.lasting() || unreached}
	if fc.target != "" {
		may.causes = append(may.causes, string(fault.Unavailable))
	}
	if fc.scenario.want == putBack {
		may.causes = append(may.causes, string(fault.Unhealthy))
	}
	if fc.target == theNode && slices.Contains(fc.scenario.verb, "adopt") {
		may.causes = append(may.causes, string(fault.Conflict)) // what was started by hand is not up again yet
	}
	return may
}

// judgeCLI checks that the exit code agrees with the deployment.
func (fc *faultCase) judgeCLI(r rows) error {
	cli := fc.cli.now().(*command)
	if len(r.Deployments) == 0 || fc.scenario.heals() {
		return nil // an error of judgeRows, or no verb
	}
	last := r.Deployments[len(r.Deployments)-1]
	want := 1
	switch {
	case last.Outcome == string(workflows.Succeeded), last.Outcome == string(workflows.Unchanged):
		want = 0
	case last.Dirty:
		want = 3
	}
	if cli.code() == want {
		return nil
	}
	return fmt.Errorf("the command line ended with %d, and deployment %d is %q (%s): %s", cli.code(), last.Number, last.Outcome, last.Message, cli.stderr.String())
}

// judgeContainers checks that exactly the release's containers exist.
func judgeContainers(r rows, containers []found) error {
	var problems []error
	left := map[string]found{}
	for _, c := range containers {
		left[c.key()] = c
	}
	for _, want := range r.Components {
		have, ok := left[want.key()]
		delete(left, want.key())
		switch {
		case !ok:
			problems = append(problems, fmt.Errorf("container %s is missing", want.key()))
		case (have.State == runtime.Running) != want.Active:
			problems = append(problems, fmt.Errorf("container %s is %s, and active is %v", have.key(), have.State, want.Active))
		case have.Labels[runtime.LabelDeployment] != fmt.Sprint(want.Deployment) || !strings.HasSuffix(have.Image, want.Digest):
			problems = append(problems, fmt.Errorf("container %s is deployment %s of %s, and should be %d of %s",
				have.key(), have.Labels[runtime.LabelDeployment], have.Image, want.Deployment, want.Digest))
		}
	}
	for name, c := range left {
		problems = append(problems, fmt.Errorf("container %s (%s, deployment %s) belongs to no release", name, c.State, c.Labels[runtime.LabelDeployment]))
	}
	return errors.Join(problems...)
}

// judgePorts checks that Postgres and podman agree on the ports of each container.
func judgePorts(r rows, containers []found) error {
	var held, published []string
	for _, port := range r.Ports {
		switch {
		case port.Committed:
			held = append(held, fmt.Sprintf("%s:%d", port.Node, port.Port))
		case !port.Resting:
			return fmt.Errorf("port %d of %s is held by no release", port.Port, port.Component)
		}
	}
	for _, c := range containers {
		for _, port := range c.Ports {
			published = append(published, fmt.Sprintf("%s:%d", c.Node, port.Host))
		}
	}
	slices.Sort(held)
	slices.Sort(published)
	if !slices.Equal(held, published) {
		return fmt.Errorf("Postgres has the ports %v, and podman %v", held, published)
	}
	return nil
}

// judgeService sends the service a request, and checks its data.
func (fc *faultCase) judgeService(ctx context.Context, r rows) error {
	var problems []error
	if r.Active && len(r.Components) > 0 {
		want := r.Components[0].Image[strings.LastIndex(r.Components[0].Image, ":")+1:]
		if r.Components[0].Image == fc.byHand.Image { // adopted while no part could say which tag that is
			want = "v1"
		}
		address, err := fc.released(ctx)
		var got string
		if err == nil {
			got, err = ask(address)
		}
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("the service does not answer: %w", err))
		case got != want:
			problems = append(problems, fmt.Errorf("the service answers %q instead of %q", got, want))
		}
	}
	data, err := os.ReadFile(filepath.Join(fc.rig.volume(fc.service), "precious"))
	if err != nil {
		problems = append(problems, fmt.Errorf("the volume's data is lost: %w", err))
	} else if string(data) != fc.service {
		problems = append(problems, fmt.Errorf("the volume's data is now %q", data))
	}
	if text, err := os.ReadFile(filepath.Join(fc.rig.volume(fc.service), "overlap")); err == nil {
		problems = append(problems, fmt.Errorf("two containers used the volume at once: %s", text))
	}
	return errors.Join(append(problems, fc.judgeMigrations(r))...)
}

// judgeMigrations checks that no deployment has run its migration twice, and that the
// release has run its own.
func (fc *faultCase) judgeMigrations(r rows) error {
	text, err := os.ReadFile(filepath.Join(fc.rig.volume(fc.service), "migrations"))
	if errors.Is(err, os.ErrNotExist) {
		return nil // the scenario has none
	}
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	versions := strings.Fields(string(text))
	if len(versions) > len(r.Deployments) {
		err = fmt.Errorf("%d deployments have migrated %d times: %s", len(r.Deployments), len(versions), strings.Join(versions, ", "))
	}
	if tag := r.Components[0].Image[strings.LastIndex(r.Components[0].Image, ":")+1:]; !slices.Contains(versions, tag) {
		err = errors.Join(err, fmt.Errorf("%s was released without its migration", tag))
	}
	return err
}
