package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/metacircular/mcp/activities"
	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workers"
	"github.com/metacircular/mcp/workflows"
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
	var result workflows.DoctorResult
	in := workflows.DoctorInput{Nodes: d.nodes, Images: d.images}
	if err := s.Read(ctx, c, "doctor", workflows.DoctorName, in, &result, session.Within(2*checkTimeout)); err != nil {
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

// temporalChecks are those of Temporal itself.
type temporalChecks struct {
	client    client.Client
	namespace string
}

func (t temporalChecks) namespaceExists(ctx context.Context) []finding {
	const check = "namespace"
	_, err := t.client.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: t.namespace})
	if err != nil {
		return []finding{away(check, exit.FaultOf(exit.Temporal(err)))}
	}
	return []finding{ok(check, "%s is there", t.namespace)}
}

func (t temporalChecks) searchAttributes(ctx context.Context) []finding {
	const check = "search attributes"
	listed, err := t.client.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: t.namespace})
	var denied *serviceerror.PermissionDenied
	var absent *serviceerror.NamespaceNotFound
	switch {
	case errors.As(err, &denied):
		return []finding{warn(check, "check in Temporal's UI that these exist: "+strings.Join(attributeNames(nil), ", "), "Temporal does not list them to this client")}
	case errors.As(err, &absent):
		return nil // namespaceExists reports it
	case err != nil:
		return []finding{fail(check, exit.FaultOf(exit.Temporal(err)))}
	}
	if missing := attributeNames(listed.GetCustomAttributes()); len(missing) > 0 {
		f := fault.New(fault.NotFound, "namespace %s lacks %s", t.namespace, strings.Join(missing, ", "))
		return []finding{fail(check, f.WithHint("start a control worker, which makes them: mcp worker --control"))}
	}
	return []finding{ok(check, "%s are there", strings.Join(attributeNames(nil), ", "))}
}

// attributeNames are mcp's search attributes that are not among those there.
func attributeNames(there map[string]enums.IndexedValueType) []string {
	var names []string
	for _, key := range workflows.SearchAttributes() {
		if _, known := there[key.GetName()]; !known {
			names = append(names, key.GetName())
		}
	}
	return names
}

func (t temporalChecks) builderPolls(ctx context.Context, builder string) finding {
	return t.polled(ctx, "builder", activities.QueueBuild(builder), "start it where the sources are: mcp worker --builder "+builder+" --workspace DIR")
}

// nodesPoll finds the workers of nodes in Temporal, for when no control worker can ask
// them.
func (t temporalChecks) nodesPoll(ctx context.Context, nodes []string) []finding {
	var checks []func(context.Context) []finding
	for _, name := range nodes {
		checks = append(checks, func(ctx context.Context) []finding {
			return []finding{t.polled(ctx, "node "+name, activities.QueueNode(name), "start it on that host: mcp worker --node "+name)}
		})
	}
	return sideBySide(ctx, checks...)
}

// pollAge is how old a poll may be: Temporal lists pollers for minutes, and a live one
// polls again after one.
const pollAge = 75 * time.Second

// polled finds whether a worker polls a queue.
func (t temporalChecks) polled(ctx context.Context, check, queue, hint string) finding {
	described, err := t.client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: t.namespace, TaskQueue: &taskqueue.TaskQueue{Name: queue}, TaskQueueType: enums.TASK_QUEUE_TYPE_ACTIVITY,
	})
	if err != nil {
		return fail(check, exit.FaultOf(exit.Temporal(err)))
	}
	for _, p := range described.GetPollers() {
		if time.Since(p.GetLastAccessTime().AsTime()) < pollAge {
			return ok(check, "a worker polls %s: %s", queue, p.GetIdentity())
		}
	}
	return fail(check, fault.New(fault.Unavailable, "no worker polls %s", queue).WithHint("%s", hint))
}

// diagnosed are the findings of the checks that a control worker has made.
func diagnosed(r workflows.DoctorResult, d defined, version string) []finding {
	found := []finding{sameVersion("control worker", version, r.Control.MCP, "it answers"), postgres(r.Control)}
	for _, name := range sortedNodes(r) {
		found = append(found, nodeFinding(name, version, r.Nodes[name]))
	}
	for _, n := range r.Control.Nodes {
		found = append(found, lookFinding(n, r.At))
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

func sortedNodes(r workflows.DoctorResult) []string {
	var names []string
	for name := range r.Nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// sameVersion warns of a worker whose mcp has another version than this one.
func sameVersion(check, version, theirs, detail string) finding {
	if theirs != version {
		return warn(check, "upgrade the older: control workers first", "%s; it is mcp %s, and this is mcp %s", detail, theirs, version)
	}
	return ok(check, "%s; mcp %s", detail, theirs)
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

func nodeFinding(name, version string, n workflows.DiagnosedNode) finding {
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

// lookFinding is the age of the monitor's last observation of a node.
func lookFinding(n fleet.NodeState, now time.Time) finding {
	check := "monitor " + n.Name
	hint := fmt.Sprintf("mcp node show %s; the schedule %s in Temporal starts the observations", n.Name, workflows.MonitorID)
	age := now.Sub(n.Observed).Round(time.Second)
	switch {
	case n.Overdue:
		f := fault.New(fault.Unavailable, "the monitor has not observed it since %s", ui.Moment(n.LookedAt()))
		return fail(check, f.WithHint("%s", hint))
	case n.Observed.IsZero():
		return warn(check, hint, "it has not been observed yet")
	case n.State == fleet.NodeUnreachable:
		return warn(check, hint, "unreachable since %s", ui.Moment(n.Since))
	}
	return ok(check, "the last observation is %s old", age)
}
