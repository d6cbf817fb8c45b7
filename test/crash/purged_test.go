package crash

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/metacircular/mcp/workflows"
)

// purges reports whether the story is about forgetting a service.
func (s story) purges() bool { return len(s.verb) > 0 && s.verb[0] == "purge" }

// serviceTables have rows of services, and the column that names the service. What
// a node was seen to have is not among them: the next look replaces that.
var serviceTables = map[string]string{
	"services": "name", "deployments": "service", "components": "service", "component_routes": "service",
	"adopted_containers": "service", "events": "service", "drift": "service",
}

// remembered counts what Postgres has of the service, in every table.
func (p *play) remembered(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	for table, column := range serviceTables {
		out, err := exec.CommandContext(ctx, "psql", p.rig.postgres, "-X", "-A", "-t", "-c",
			fmt.Sprintf("select count(*) from %s where %s = '%s'", table, column, p.service)).Output()
		if err != nil {
			return nil, fmt.Errorf("ask Postgres: %w", err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(out)))
		if err != nil {
			return nil, fmt.Errorf("count the rows of %s: %w", table, err)
		}
		if n > 0 {
			counts[table] = n
		}
	}
	return counts, nil
}

// judgePurge asks whether a service is forgotten whole, or not at all, and
// whether all were told which.
func (p *play) judgePurge(ctx context.Context) (verdict, error) {
	left, err := p.remembered(ctx)
	if err != nil {
		return wrong, err
	}
	told, err := p.told(ctx, "")
	if err != nil {
		return wrong, err
	}
	containers, err := p.containers(ctx)
	if err != nil {
		return wrong, err
	}
	problems := []error{p.judgePurgeCLI(left["services"] == 0, told), judgeContainers(rows{}, containers), p.judgeService(ctx, rows{})}
	v := finished
	switch {
	case left["services"] > 0:
		v = putBack
		r, err := p.rows(ctx)
		if err != nil {
			return wrong, err
		}
		if r.Release != p.story.released() || len(r.Deployments) != p.story.released() {
			problems = append(problems, fmt.Errorf("the purge has left %d deployments and the release %d", len(r.Deployments), r.Release))
		}
	case len(left) > 0:
		problems = append(problems, fmt.Errorf("the service is forgotten, and yet these have rows of it: %v", left))
	}
	if err := errors.Join(problems...); err != nil {
		return wrong, err
	}
	return v, nil
}

// judgePurgeCLI asks whether the operator, and who asks Temporal, was told the
// truth. A command line that is given again after the first one has died may
// come too late, and is told so.
func (p *play) judgePurgeCLI(forgotten bool, told string) error {
	cli := p.cli.now().(*command)
	code, again := cli.code(), p.who == theCLI
	switch {
	case forgotten && code == 0 && (told == string(workflows.Succeeded) || again && told == string(workflows.Unchanged)):
	case forgotten && again && code == 2 && strings.Contains(cli.stderr.String(), "is purged already"):
	case !forgotten && code == 1 && told == string(workflows.Failed):
	default:
		return fmt.Errorf("the command line ended with %d, the workflow %q, and the service is forgotten: %v: %s", code, told, forgotten, cli.stderr.String())
	}
	return nil
}
