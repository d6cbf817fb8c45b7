package e2e

import (
	"context"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/node"
	"github.com/metacircular/mcp/test/edges"
)

// scriptEdges is the key of a script's edges, by name.
type scriptEdges struct{}

// scriptEdge acts as an edge of the platform's host, which ends with its script:
//
//	edge start NAME                   has it poll its queue, and announce itself
//	edge announce NAME                announces it again
//	edge impostor NAME                announces another edge under its name
//	edge key NAME                     sets $KEY to its key
//	edge fails NAME HOSTNAME WHY      has it report that a certificate has failed
//	edge log NAME SERVICE LINE        adds a line to an access log
//	edge stop NAME                    ends its poll
func scriptEdge(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	verb, name := args[0], args[1]
	all := ts.Value(scriptEdges{}).(map[string]*edges.Edge)
	e := all[name]
	if e == nil {
		e = newScriptEdge(ts, name)
		all[name] = e
	}
	var err error
	switch verb {
	case "start":
		if err = e.Start(); err == nil {
			ts.Defer(e.Stop)
			_, err = e.Announce(ctx)
		}
	case "announce":
		_, err = e.Announce(ctx)
	case "impostor":
		_, err = newScriptEdge(ts, name).Announce(ctx)
	case "fails":
		e.Reports = func(s *fleet.EdgeStatus) {
			s.Certificates = []fleet.Certificate{{Hostname: args[2], Problem: args[3], Failed: time.Now()}}
		}
	case "stop":
		e.Stop()
	case "log":
		e.Logged(args[2], args[3])
	case "key":
		ts.Setenv("KEY", e.Key)
	default:
		ts.Fatalf("edge %s: there is no such thing", verb)
	}
	if neg == (err == nil) {
		ts.Fatalf("edge %v: %v", args, err)
	}
	if err != nil {
		ts.Logf("edge %v: %v", args, err)
	}
}

// newScriptEdge returns an edge on the platform's host.
func newScriptEdge(ts *testscript.TestScript, name string) *edges.Edge {
	info := shared.platform.Info()
	o, err := info.Connection()
	ts.Check(err)
	o.Logger = sdklog.NewStructuredLogger(quiet)
	c, err := client.Dial(o)
	ts.Check(err)
	ts.Defer(c.Close)
	id, err := node.MachineID(filepath.Join(info.Dir, "machine"))
	ts.Check(err)
	e, err := edges.New(c, name, fleet.Machine{ID: id, Hostname: "here"})
	ts.Check(err)
	return e
}
