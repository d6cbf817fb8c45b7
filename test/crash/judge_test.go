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

// verdict is how a play ended.
type verdict string

const (
	finished verdict = "finished"
	putBack  verdict = "put back"
	wrong    verdict = "wrong"
)

// judge looks at what the play has left, from podman, Postgres and Temporal
// themselves. The error says all that is wrong.
func (p *play) judge() (verdict, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if p.story.purges() {
		return p.judgePurge(ctx)
	}
	r, err := p.rows(ctx)
	if err != nil {
		return wrong, err
	}
	containers, err := p.containers(ctx)
	if err != nil {
		return wrong, err
	}
	containers, foreign := p.tellApart(r, containers)
	if err := errors.Join(foreign, judgeAll(r, containers, p.allowed()), p.judgeCLI(r), p.judgeService(ctx, r)); err != nil {
		return wrong, err
	}
	for _, d := range r.Deployments {
		p.cause = d.Message
	}
	if r.Release > p.story.released() {
		return finished, nil
	}
	return putBack, nil
}

// allowed is what may have become of a deployment that did not do what it was
// asked to.
type allowed struct {
	// causes are the kinds of error that it may have failed with.
	causes []string
	// undone: its undo may have had to be left to a Mend.
	undone bool
}

// judgeAll asks whether Postgres, Temporal and podman tell one true story.
func judgeAll(r rows, containers []found, may allowed) error {
	return errors.Join(judgeRows(r, may), judgeContainers(r, containers), judgePorts(r, containers))
}

// judgeRows asks whether each deployment's row tells the truth.
func judgeRows(r rows, may allowed) error {
	var problems []error
	say := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	released := 0
	for _, d := range r.Deployments {
		if d.Told != d.Outcome {
			say("deployment %d is %q in its row and %q in its workflow", d.Number, d.Outcome, d.Told)
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

// allowed says what a deployment of this play may fail with: somebody was away,
// or the new version is not healthy.
func (p *play) allowed() allowed {
	// Where a deploy was lost, and the next one cannot reach the node either,
	// somebody must still take away what the first one left. And an undeploy
	// needs no node to answer.
	unreached := p.who != "" && (p.story.lost != nil || slices.Contains(p.story.verb, "undeploy"))
	may := allowed{undone: p.how.lasting() || unreached}
	if p.who != "" {
		may.causes = append(may.causes, string(fault.Unavailable))
	}
	if p.story.ends == putBack {
		may.causes = append(may.causes, string(fault.Unhealthy))
	}
	return may
}

// judgeCLI asks whether the operator was told the truth.
func (p *play) judgeCLI(r rows) error {
	cli := p.cli.now().(*command)
	if len(r.Deployments) == 0 {
		return nil // which judgeRows tells
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

// judgeContainers asks whether exactly what the release names is there.
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
		problems = append(problems, fmt.Errorf("container %s (%s, deployment %s) is nobody's", name, c.State, c.Labels[runtime.LabelDeployment]))
	}
	return errors.Join(problems...)
}

// judgePorts asks whether Postgres and podman agree on who holds which port.
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

// judgeService asks the service itself, and its data.
func (p *play) judgeService(ctx context.Context, r rows) error {
	var problems []error
	if r.Active && len(r.Components) > 0 {
		want := r.Components[0].Image[strings.LastIndex(r.Components[0].Image, ":")+1:]
		if r.Components[0].Image == p.byHand.Image { // adopted while nobody could say which tag that is
			want = "v1"
		}
		got, err := ask(p.address(ctx))
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("the service does not answer: %w", err))
		case got != want:
			problems = append(problems, fmt.Errorf("the service answers %q, and should %q", got, want))
		}
	}
	data, err := os.ReadFile(filepath.Join(p.rig.volume(p.service), "precious"))
	if err != nil {
		problems = append(problems, fmt.Errorf("the volume's data is lost: %w", err))
	} else if string(data) != p.service {
		problems = append(problems, fmt.Errorf("the volume's data has become %q", data))
	}
	if text, err := os.ReadFile(filepath.Join(p.rig.volume(p.service), "overlap")); err == nil {
		problems = append(problems, fmt.Errorf("two containers had the volume at once: %s", text))
	}
	return errors.Join(problems...)
}
