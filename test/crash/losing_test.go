package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/runtime"
)

// loss is what the control plane loses before the verb of a scenario.
type loss int

const (
	nothing loss = iota
	// lastDeploy: Postgres is restored from a dump that was made before another version,
	// the scenario's lost one, was deployed.
	lastDeploy
	// allRows: the tables of the registry are empty.
	allRows
	// allWorkflows: Temporal is as it was installed.
	allWorkflows
)

// lose has the control plane lose what the scenario says.
func (fc *faultCase) lose() error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var err error
	switch fc.scenario.loses {
	case nothing:
		return nil
	case lastDeploy:
		err = fc.restoreOlderDump(ctx)
	case allRows:
		if err = fc.rig.empty(ctx); err == nil {
			err = fc.rig.admitEdge() // the registry has forgotten its key
		}
	case allWorkflows:
		err = fc.rig.emptyTemporal(ctx)
	}
	if err != nil {
		return err
	}
	containers, err := fc.containers(ctx)
	if err == nil && len(containers) != 1 {
		err = fmt.Errorf("%d containers run before the verb", len(containers))
	}
	if err == nil {
		fc.survivor = containers[0].ContainerInfo
	}
	return err
}

// restoreOlderDump dumps the registry, deploys the lost version, and restores the dump.
func (fc *faultCase) restoreOlderDump(ctx context.Context) error {
	dump := fc.rig.path(fc.service + ".sql")
	defer func() { _ = os.Remove(dump) }()
	if err := program(ctx, "pg_dump", "--data-only", "--exclude-table=schema_versions", "--file", dump, fc.rig.postgres); err != nil {
		return err
	}
	if err := fc.rig.define(fc.service, fc.scenario.lost(fc)); err != nil {
		return err
	}
	if err := fc.toEnd("deploy", fc.service); err != nil {
		return err
	}
	// In one transaction, so that no row of an edge or a node that announces itself comes
	// between. The tables refer to each other: no order of them is right.
	return program(ctx, "psql", fc.rig.postgres, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-1",
		"-c", emptied, "-c", "set session_replication_role = replica", "-f", dump)
}

// emptied is the statement that deletes every row of the registry.
const emptied = `do $$ begin
	perform set_config('session_replication_role', 'replica', true); -- no trigger keeps rows of the audit
	execute (select 'truncate ' || string_agg(quote_ident(tablename), ', ') from pg_tables
	         where schemaname = 'public' and tablename <> 'schema_versions');
end $$`

// empty deletes every row of the registry.
func (r *rig) empty(ctx context.Context) error {
	return program(ctx, "psql", r.postgres, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", emptied)
}

// emptyTemporal starts Temporal anew, without its database.
func (r *rig) emptyTemporal(ctx context.Context) error {
	temporal := r.parts[theTemporal]
	temporal.kill()
	if err := os.RemoveAll(r.path("temporal")); err != nil {
		return err
	}
	if err := os.Mkdir(r.path("temporal"), 0o755); err != nil {
		return err
	}
	if err := temporal.again(ctx); err != nil {
		return err
	}
	return await(timeout, "the nodes are served again", func() bool {
		for _, m := range r.nodes {
			if !r.answers(ctx, m.name) {
				return false
			}
		}
		return true
	})
}

func program(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// survived judges a deploy that was put back although the registry does not know the
// container that ran before: it must run on, unless a node was away and Mend has made the
// node what the registry says.
func (fc *faultCase) survived(r rows, containers []found) error {
	problems := []error{judgeRows(r, fc.allowed())}
	alive := false
	for _, c := range containers {
		if c.ID == fc.survivor.ID {
			alive = c.State == runtime.Running && c.Name == fleet.RealName(c.Name)
			continue
		}
		problems = append(problems, fmt.Errorf("container %s (%s) belongs to no release", c.key(), c.State))
	}
	if !alive && !fc.allowed().undone {
		problems = append(problems, fmt.Errorf("container %s, which the registry has lost, does not run any more", fc.survivor.Name))
	}
	return errors.Join(problems...)
}

// heals reports whether the scenario waits for the monitor instead of running a verb.
func (s scenario) heals() bool { return s.verb == nil && s.then == nil }

// damage removes the service's containers, for the monitor to find.
func (fc *faultCase) damage() error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	containers, err := fc.containers(ctx)
	if err != nil {
		return err
	}
	for _, c := range containers {
		if err := fc.rig.node(c.Node).engine.Remove(ctx, c.Name); err != nil {
			return err
		}
	}
	return nil
}

// healed waits until a newer release than that before the damage is there.
func (fc *faultCase) healed() error {
	return await(2*timeout+fc.how.away, "the monitor deploys the release again", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		release, err := fc.rig.store.Release(ctx, fc.service)
		return err == nil && release.Number > fc.scenario.released()
	})
}
