package tend

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/activities/oncontrol"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/workflows/call"
	"github.com/metacircular/mcp/workflows/routes"
)

// AnnounceEdge records that an edge has started, and returns what it serves. An edge
// that no operator has admitted gets nothing. An edge whose name belongs to another key
// is refused as a Conflict.
func AnnounceEdge(ctx workflow.Context, in fleet.EdgeRecord) (*fleet.EdgeAnswer, error) {
	answer, err := call.Control(ctx, "record edge "+in.Name, 0, control.RecordAnnouncement, in)
	if err != nil {
		return nil, call.Failure(err)
	}
	return &answer, nil
}

// EdgeStorage carries out a request of an edge to the storage that edges share: their
// certificates, challenges and authorities, sealed to their keys. A request that no
// admitted edge has made is refused as Unauthorized.
func EdgeStorage(ctx workflow.Context, in fleet.StorageRequest) (*fleet.StorageAnswer, error) {
	asked := oncontrol.UseStorageInput{Request: in, Run: workflow.GetInfo(ctx).WorkflowExecution.RunID}
	answer, err := call.Control(ctx, "use the storage of edges for "+in.Edge, call.ReadTimeout, control.UseStorage, asked)
	if err != nil {
		return nil, call.Failure(err)
	}
	return &answer, nil
}

// AdmitEdgeInput names an edge to admit.
type AdmitEdgeInput struct {
	Edge string `json:"edge"`
	// Key is the public key that the operator has seen at the edge; "" admits the one
	// that the edge has announced.
	Key string `json:"key,omitempty"`
}

// AdmitEdgeResult is an edge that is admitted.
type AdmitEdgeResult struct {
	// Key is the key that is pinned.
	Key string `json:"key"`
	// Published is what became of the publications of every service.
	Published routes.EdgePublished `json:"published"`
}

// AdmitEdge admits an edge by its key, and publishes to it all that edges serve.
func AdmitEdge(ctx workflow.Context, in AdmitEdgeInput) (*AdmitEdgeResult, error) {
	pinned, err := call.Control(ctx, "admit edge "+in.Edge, call.ReadTimeout, control.PinEdge, fleet.EdgeAdmission(in))
	if err != nil {
		return nil, call.Failure(err)
	}
	if err := welcome(ctx, in.Edge); err != nil {
		return nil, call.Failure(err)
	}
	published, err := catchUp(ctx, in.Edge)
	if err != nil {
		return nil, call.Failure(err)
	}
	return &AdmitEdgeResult{Key: pinned.Key, Published: published}, nil
}

// welcome has the other edges ask for the admitted keys, to which they then seal what
// edges share. One that is away does so when it is back.
func welcome(ctx workflow.Context, name string) error {
	edges, err := call.ControlQuery(ctx, "list edges", call.ReadTimeout, control.AdmittedEdges)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(edges, func(other string) bool { return other == name })
	routes.Publish(ctx, others, nil) // an edge to which nothing is published announces itself
	return nil
}

// catchUp publishes to an edge what it lacks, as much at once as fits into one message.
// What the edge does not take over, the monitor sends it later.
func catchUp(ctx workflow.Context, name string) (routes.EdgePublished, error) {
	result := routes.EdgePublished{Edge: name}
	after := ""
	for {
		part, err := call.Control(ctx, "read what "+name+" lacks", call.RecordTimeout, control.MissingAt, oncontrol.MissingAtInput{Edge: name, After: after})
		if err != nil || len(part.Publications) == 0 {
			return result, err
		}
		became := routes.Publish(ctx, []string{name}, part.Publications)
		if err := routes.RecordPublished(ctx, became, part.Publications); err != nil {
			return result, err
		}
		result.Error = became[0].Error
		result.Problems = fleet.CheckedProblems(slices.Concat(result.Problems, became[0].Problems))
		if result.Error != nil || !part.More || call.Spent(ctx) {
			return result, nil
		}
		after = part.Publications[len(part.Publications)-1].Service
	}
}

// RemoveEdge forgets an edge and its key: it gets nothing any more, and ports that it
// may still serve can be allocated again. One that still runs serves nothing any more.
// If there is no such edge, nothing is left to do.
func RemoveEdge(ctx workflow.Context, name string) error {
	if err := call.ControlSend(ctx, "remove edge "+name, call.ReadTimeout, control.ForgetEdge, name); err != nil {
		return call.Failure(err)
	}
	routes.Publish(ctx, []string{name}, nil) // an edge to which nothing is published asks whether it is admitted
	return nil
}
