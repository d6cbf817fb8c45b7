package crash

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/metacircular/mcp/workflows"
)

// purges reports whether the scenario is a purge.
func (s scenario) purges() bool { return len(s.verb) > 0 && s.verb[0] == "purge" }

// serviceTables are the tables with rows of services, and the column that names the
// service. Observed containers are not among them: the next observation replaces
// those.
var serviceTables = map[string]string{
	"services": "name", "deployments": "service", "components": "service", "component_routes": "service",
	"adopted_containers": "service", "events": "service", "drift": "service",
}

// remembered counts the service's rows, by table.
func (fc *faultCase) remembered(ctx context.Context) (map[string]int, error) {
	counts := map[string]int{}
	for table, column := range serviceTables {
		var n int
		if err := fc.rig.ask(ctx, &n, fmt.Sprintf("select count(*) from %s where %s = $1", table, column), fc.service); err != nil {
			return nil, fmt.Errorf("count the rows of %s: %w", table, err)
		}
		if n > 0 {
			counts[table] = n
		}
	}
	return counts, nil
}

// judgePurge checks that a service was forgotten as a whole or not at all, and that
// the outcome says which.
func (fc *faultCase) judgePurge(ctx context.Context) (verdict, error) {
	left, err := fc.remembered(ctx)
	if err != nil {
		return wrong, err
	}
	outcome, err := fc.outcome(ctx, "")
	if err != nil {
		return wrong, err
	}
	containers, err := fc.containers(ctx)
	if err != nil {
		return wrong, err
	}
	problems := []error{fc.judgePurgeCLI(left["services"] == 0, outcome), judgeContainers(rows{}, containers), fc.judgeService(ctx, rows{})}
	v := finished
	switch {
	case left["services"] > 0:
		v = putBack
		r, err := fc.rows(ctx)
		if err != nil {
			return wrong, err
		}
		if r.Release != fc.scenario.released() || len(r.Deployments) != fc.scenario.released() {
			problems = append(problems, fmt.Errorf("the purge has left %d deployments and the release %d", len(r.Deployments), r.Release))
		}
	case len(left) > 0:
		problems = append(problems, fmt.Errorf("the service is forgotten, but these tables have rows of it: %v", left))
	}
	if err := errors.Join(problems...); err != nil {
		return wrong, err
	}
	return v, nil
}

// judgePurgeCLI checks that the exit code and the workflow's outcome agree with the
// rows. A second command line, after the first was killed, may find the service
// purged.
func (fc *faultCase) judgePurgeCLI(forgotten bool, outcome string) error {
	cli := fc.cli.now().(*command)
	code, again := cli.code(), fc.target == theCLI
	switch {
	case forgotten && code == 0 && (outcome == string(workflows.Succeeded) || again && outcome == string(workflows.Unchanged)):
	case forgotten && again && code == 2 && strings.Contains(cli.stderr.String(), "is purged already"):
	case !forgotten && code == 1 && outcome == string(workflows.Failed):
	default:
		return fmt.Errorf("the command line ended with %d, the workflow %q, and the service is forgotten: %v: %s", code, outcome, forgotten, cli.stderr.String())
	}
	return nil
}
