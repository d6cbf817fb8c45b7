package threat

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/metacircular/mcp/internal/door/law"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/test/edges"
	"github.com/metacircular/mcp/workflows"
	"github.com/metacircular/mcp/workflows/reads"
)

// The honest work of a fleet passes the door, and nothing else that its identities try.
func TestIdentity(t *testing.T) {
	d := newDoored(t)
	d.buildApp()
	for _, name := range []string{"shop", "bank"} {
		d.define(name)
	}
	d.startWorkers()
	d.honest()
	d.edge()
	d.audited()

	theirs := d.readOf(anna)
	wrapped := d.taskOfAnother(t)
	own := wrapped[1+32:] // behind a version and an HMAC-SHA-256
	all := attempts(wrapped, own, theirs)
	through := d.tries(t, all)
	require.Empty(t, through)
	require.NoError(t, completes(wrapped)(t.Context(), d.service(otherNode)), "the node that the task was given to")

	methods, through := d.foreignMethods(t)
	require.Empty(t, through)
	t.Logf("identity: of %d foreign calls that nodes, edges, builders, readers and deployers have tried, and %d methods that are not theirs, %d got through",
		len(all), methods, len(through))
	d.flood(t)
}

// honest is what operators, deployers and readers do.
func (d *doored) honest() {
	d.must(anna, "deploy", "shop", "bank")
	d.must(ci, "deploy", "shop", "--force")
	for _, command := range [][]string{
		{"status"}, {"ps"}, {"plan", "shop"}, {"history", "shop"}, {"logs", "shop"}, {"node", "list"}, {"node", "status"},
		{"events"}, {"jobs"}, {"route", "list"}, {"edge", "list"}, {"secret", "list"}, {"build", "shop"}, {"build", "log", "shop"},
		{"restart", "bank"}, {"run", "bank/nightly"}, {"job", "history", "bank/nightly"}, {"job", "logs", "bank/nightly"},
		{"job", "pause", "bank/nightly"}, {"job", "resume", "bank/nightly"}, {"undeploy", "bank", "--yes"}, {"deploy", "bank"}, {"exec", "shop/app", "--", "/app", "say", "hello", "0"}, {"audit"},
	} {
		d.must(anna, command...)
	}
	for _, command := range [][]string{{"status", "shop"}, {"plan", "shop"}, {"history", "shop"}, {"logs", "shop"}, {"node", "list"}, {"jobs", "shop"}} {
		d.must(guest, command...)
		d.must(ci, command...)
	}
	d.must(ci, "build", "shop", "--force")                               // it is the builder itself
	for _, command := range [][]string{{"doctor"}, {"cancel", "shop"}} { // what they find here is no matter of the gateway
		out, _ := d.mcp(anna, command...)
		require.NotContains(d.t, out, "the gateway refuses", command)
	}
	require.Empty(d.t, d.law.Refusals())
	d.refused(ci, "deploy", "bank")
	d.refused(ci, "exec", "shop", "--", "/app")
	d.refused(guest, "restart", "shop")
}

// edge is what an edge does.
func (d *doored) edge() {
	t := d.t
	e, err := edges.New(d.dial(theEdge), theEdge.Name, fleet.Machine{ID: "edge", Boot: "1"})
	require.NoError(t, err)
	require.NoError(t, e.Start())
	t.Cleanup(e.Stop)
	_, err = e.Announce(t.Context())
	require.NoError(t, err)
	d.must(anna, "edge", "admit", theEdge.Name, "--key", e.Key)
	answer, err := e.Announce(t.Context())
	require.NoError(t, err)
	require.True(t, answer.Admitted)
}

// audited is what the audit has of that: who is known, and not only claimed.
func (d *doored) audited() {
	entry := fleet.AuditEntry{Key: "cancel/1", Action: fleet.Action{Verb: "cancel", Service: "shop"}, WorkflowID: "deploy/shop"}
	said := starting("audit/cancel/1/begun", workflows.RecordAuditName, workflows.RecordAuditInput{Entries: []fleet.AuditEntry{entry}})
	require.NoError(d.t, starts(said)(d.t.Context(), d.service(ci)), "what the command line says before it cancels")
	require.NoError(d.t, cancels("deploy/shop")(d.t.Context(), d.service(ci)))
	// The two rows come from two workflows, in any order.
	cancelled := "select who || ' ' || claimed || ' ' || phase || ' ' || outcome from audit where verb = 'cancel' order by phase"
	require.Eventually(d.t, func() bool {
		return d.psql(cancelled) == "deployer/ci false begun \ndeployer/ci false ended succeeded"
	}, time.Minute, 100*time.Millisecond, "%s", d.psql(cancelled))
	require.Equal(d.t, "deployer/ci|f\noperator/anna|f", d.psql("select distinct who, claimed from audit where who <> 'mcp' order by 1"))
}

// readOf is a read of an identity.
func (d *doored) readOf(who identity.Identity) *common.WorkflowExecution {
	d.t.Helper()
	in := starting("read/status/fedcba9876543210", reads.StatusName, reads.StatusInput{})
	started, err := d.service(who).StartWorkflowExecution(d.t.Context(), in)
	require.NoError(d.t, err)
	return &common.WorkflowExecution{WorkflowId: in.WorkflowId, RunId: started.GetRunId()}
}

// foreignMethods calls every method of Temporal's services that is not a role's, and
// returns how many, and which got through.
func (d *doored) foreignMethods(t *testing.T) (tried int, through []string) {
	t.Helper()
	for _, who := range []identity.Identity{theNode, theEdge, theBuilder, guest, ci} {
		conn := d.conn(who)
		for _, service := range []grpc.ServiceDesc{workflowservice.WorkflowService_ServiceDesc, operatorservice.OperatorService_ServiceDesc} {
			found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service.ServiceName))
			require.NoError(t, err)
			methods := found.(protoreflect.ServiceDescriptor).Methods()
			for i := range methods.Len() {
				full := "/" + service.ServiceName + "/" + string(methods.Get(i).Name())
				if law.Permits(full, who.Role) {
					continue
				}
				tried++
				in := dynamicpb.NewMessage(methods.Get(i).Input())
				if field := in.Descriptor().Fields().ByName("namespace"); field != nil {
					in.Set(field, protoreflect.ValueOfString(doorNamespace))
				}
				err := conn.Invoke(t.Context(), full, in, dynamicpb.NewMessage(methods.Get(i).Output()))
				if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "the gateway refuses") {
					through = append(through, who.String()+" "+full)
				}
			}
		}
	}
	return tried, through
}

// flood has one node call as often as it can while another identity deploys.
func (d *doored) flood(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var passed, limited atomic.Int64
	var flooding sync.WaitGroup
	began := time.Now()
	for range 32 {
		service := d.service(otherNode)
		flooding.Go(func() {
			for ctx.Err() == nil {
				_, err := service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: doorNamespace})
				switch {
				case err == nil:
					passed.Add(1)
				case status.Code(err) == codes.ResourceExhausted:
					limited.Add(1)
				}
			}
		})
	}
	require.Eventually(t, func() bool { return limited.Load() > 0 }, 2*time.Minute, 10*time.Millisecond, "it calls more often than it may")
	deploying := time.Now()
	d.must(anna, "deploy", "bank", "--force")
	took := time.Since(deploying)
	stop()
	flooding.Wait()
	limits := law.DefaultLimits()[identity.Node]
	require.LessOrEqual(t, float64(passed.Load()), float64(limits.Burst)+limits.Calls*time.Since(began).Seconds(), "calls of the flood that reached Temporal")
	t.Logf("identity: until a deploy of %s was over a node has called %d times in %s; %d of these reached Temporal",
		took.Round(time.Millisecond), passed.Load()+limited.Load(), time.Since(began).Round(time.Millisecond), passed.Load())
}
