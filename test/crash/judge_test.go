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
	r, err := p.rows(ctx)
	if err != nil {
		return wrong, err
	}
	containers, err := p.containers(ctx)
	if err != nil {
		return wrong, err
	}
	if err := errors.Join(judgeAll(r, containers, p.causes()), p.judgeCLI(r), p.judgeService(ctx, r)); err != nil {
		return wrong, err
	}
	for _, d := range r.Deployments {
		p.cause = d.Message
	}
	if r.Release > len(p.story.before) {
		return finished, nil
	}
	return putBack, nil
}

// judgeAll asks whether Postgres, Temporal and podman tell one true story.
// Causes are the kinds of error that a deployment may have failed with.
func judgeAll(r rows, containers []runtime.ContainerInfo, causes []string) error {
	return errors.Join(judgeRows(r, causes), judgeContainers(r, containers), judgePorts(r, containers))
}

// judgeRows asks whether each deployment's row tells the truth.
func judgeRows(r rows, causes []string) error {
	var problems []error
	say := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	released := 0
	for _, d := range r.Deployments {
		if d.Told != d.Outcome {
			say("deployment %d is %q in its row and %q in its workflow", d.Number, d.Outcome, d.Told)
		}
		if len(d.Undone) > 0 {
			say("deployment %d left undone: %s", d.Number, strings.Join(d.Undone, "; "))
		}
		if d.Outcome == string(workflows.Failed) && (d.Message == "" || !slices.Contains(causes, d.Kind)) {
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

// causes are the kinds of error that a deployment of this play may fail with:
// somebody was away, or the new version is not healthy.
func (p *play) causes() []string {
	var kinds []string
	if p.who != "" {
		kinds = append(kinds, string(fault.Unavailable))
	}
	if p.story.ends == putBack {
		kinds = append(kinds, string(fault.Unhealthy))
	}
	return kinds
}

// judgeCLI asks whether the operator was told the truth.
func (p *play) judgeCLI(r rows) error {
	cli := p.cli.now().(*command)
	if len(r.Deployments) == 0 {
		return nil // which judgeRows tells
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
		got, err := ask(p.routePort(ctx))
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("the service does not answer: %w", err))
		case got != want:
			problems = append(problems, fmt.Errorf("the service answers %q, and should %q", got, want))
		}
	}
	data, err := os.ReadFile(filepath.Join(p.volume(), "precious"))
	if err != nil {
		problems = append(problems, fmt.Errorf("the volume's data is lost: %w", err))
	} else if string(data) != p.service {
		problems = append(problems, fmt.Errorf("the volume's data has become %q", data))
	}
	if text, err := os.ReadFile(filepath.Join(p.volume(), "overlap")); err == nil {
		problems = append(problems, fmt.Errorf("two containers had the volume at once: %s", text))
	}
	return errors.Join(problems...)
}
