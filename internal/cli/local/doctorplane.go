package local

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workers"
	"github.com/metacircular/mcp/workflows/reads"
	"github.com/metacircular/mcp/workflows/tend"
)

// checkPlane checks Temporal, and through it the workers and Postgres.
func checkPlane(ctx context.Context, s *session.Session, cfg *config.Config, d defined) []finding {
	c, err := s.Connect(ctx, cfg)
	if err != nil {
		return []finding{away("temporal", exit.FaultOf(err))}
	}
	defer c.Close()
	options, err := cfg.TemporalOptions()
	if err != nil {
		return []finding{away("temporal", fault.Of(err))}
	}
	answering, cancel := context.WithTimeout(ctx, session.ConnectTimeout)
	_, err = c.WorkflowService().GetSystemInfo(answering, &workflowservice.GetSystemInfoRequest{})
	cancel()
	if err != nil {
		return []finding{away("temporal", exit.FaultOf(exit.Temporal(err)))}
	}
	t := temporalChecks{c, options.Namespace}
	found := []finding{ok("temporal", "%s answers", options.HostPort), checkEncryption(ctx, cfg, c, config.ThroughDoor(options))}
	found = append(found, sideBySide(ctx, t.namespaceExists, t.searchAttributes, t.schedules)...)
	if builder := cfg.Build.Builder; builder != "" && cfg.Build.Workspace == "" {
		found = append(found, sideBySide(ctx, func(ctx context.Context) []finding { return []finding{t.builderPolls(ctx, builder)} })...)
	}
	if slices.ContainsFunc(found, func(f finding) bool { return f.unreachable }) {
		return found
	}
	edges := make(chan askedEdges, 1)
	go func() { edges <- askEdges(ctx, s, c) }()
	var result reads.DoctorResult
	in := reads.DoctorInput{Nodes: d.nodes, Images: d.images}
	if err := s.Read(ctx, c, "doctor", reads.DoctorName, in, &result, session.Within(2*checkTimeout)); err != nil {
		found = append(found, away("control worker", exit.FaultOf(err)))
		return append(found, t.nodesPoll(ctx, d.nodes)...)
	}
	found = append(found, diagnosed(result, d, s.Version)...)
	if asked := <-edges; result.Control.Postgres == nil { // without, nothing is known of them
		found = append(found, asked.findings(result.Control.Nodes, d, s.Version)...)
	}
	return found
}

// checkEncryption checks whether this command line can read what the fleet has encrypted.
// Through a gateway it needs no keys for that; a control worker does, for Postgres.
func checkEncryption(ctx context.Context, cfg *config.Config, c client.Client, through bool) finding {
	const check = "encryption"
	ofRegistry := cfg.Postgres.URL != "" || cfg.Postgres.URLFile != ""
	if through && !ofRegistry {
		file := cfg.Temporal.EncryptionKeyFile
		switch err := workers.CheckReadable(ctx, c); {
		case err != nil:
			return fail(check, fault.Of(err))
		case file != "":
			return warn(check, "remove [temporal] encryption_key_file from mcp.toml, and the file, from this host",
				"the gateways have the keys: this host needs no %s", file)
		}
		return ok(check, "the gateways have the keys; this host needs none")
	}
	encryption, err := cfg.Codec()
	if err == nil {
		err = workers.CheckReadable(ctx, c)
	}
	if err != nil {
		return fail(check, fault.Of(err))
	}
	keys := encryption.Keys()
	if keys == nil {
		return ok(check, "off: Temporal and Postgres have definitions in the clear; see mcp key")
	}
	if current, encrypts := keys.Current(); encrypts {
		return ok(check, "key %s of %s encrypts", current.ID, keys.Path())
	}
	return warn(check, "once every host has the file: mcp key promote KEY", "the keys of %s only decrypt", keys.Path())
}

// diagnosed returns the findings of the checks that a control worker has made.
func diagnosed(r reads.DoctorResult, d defined, version string) []finding {
	found := []finding{sameVersion("control worker", version, r.Control.MCP, "it answers"), postgres(r.Control)}
	for _, name := range sortedNodes(r) {
		found = append(found, nodeFinding(name, version, r.Nodes[name]))
	}
	for _, n := range r.Control.Nodes {
		found = append(found, observedFinding(n, r.At))
	}
	for _, image := range d.images {
		var err error
		if asked := r.Images[image]; asked.Error != nil {
			err = asked.Error
		} else if !asked.Exists {
			err = fault.New(fault.NotFound, "look up image %s: it is not there", image)
		}
		found = append(found, registryFinding(image, "from the control worker", err))
	}
	return found
}

func sortedNodes(r reads.DoctorResult) []string {
	var names []string
	for name := range r.Nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func postgres(c oncontrol.ControlDiagnosis) finding {
	const check = "postgres"
	switch {
	case c.Postgres != nil:
		return away(check, hinted(c.Postgres, "is it up? its address is in [postgres] of the control worker's mcp.toml"))
	case c.Tables != nil:
		return fail(check, c.Tables)
	case c.Schema != c.NeedsSchema:
		f := fault.New(fault.Conflict, "its tables are at version %d, and the control worker needs %d", c.Schema, c.NeedsSchema)
		return fail(check, f.WithHint("run mcp migrate, or restart the control worker, which does it too"))
	}
	return ok(check, "it answers the control worker; its tables are at version %d", c.Schema)
}

func nodeFinding(name, version string, n reads.DiagnosedNode) finding {
	check := "node " + name
	switch {
	case n.Error != nil:
		return fail(check, n.Error)
	case n.Engine != nil:
		return fail(check, n.Engine)
	case n.Policy != "":
		f := fault.New(fault.Forbidden, "its policy cannot be used, and nothing new may run there: %s", n.Policy)
		return fail(check, f.WithHint("mend that file on %s; it is read anew each time", name))
	}
	return sameVersion(check, version, n.MCP, "its worker answers; "+n.Runtime)
}

// observedFinding returns the finding on the age of the monitor's last observation of a
// node.
func observedFinding(n fleet.NodeState, now time.Time) finding {
	check := "monitor " + n.Name
	hint := fmt.Sprintf("mcp node show %s; the schedule %s in Temporal starts the observations", n.Name, tend.MonitorID)
	age := now.Sub(n.Observed).Round(time.Second)
	switch {
	case n.Overdue:
		f := fault.New(fault.Unavailable, "the monitor has not observed it since %s", ui.Moment(n.LastObserved()))
		return fail(check, f.WithHint("%s", hint))
	case n.Observed.IsZero():
		return warn(check, hint, "it has not been observed yet")
	case n.State == fleet.NodeUnreachable:
		return warn(check, hint, "unreachable since %s", ui.Moment(n.Since))
	}
	return ok(check, "the last observation is %s old", age)
}
