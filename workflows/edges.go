package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// EdgePublished is what became of publications at one edge.
type EdgePublished struct {
	Edge string `json:"edge"`
	// Error is why the edge has not acknowledged them: it is stale; nil if it has.
	Error *fault.Error `json:"error,omitempty"`
	// Problems are what keeps it from serving part of them, a sentence each.
	Problems []string `json:"problems,omitempty"`
}

// AnnounceEdge records that an edge has started, and returns what it serves. An edge
// that no operator has admitted gets nothing. An edge whose name belongs to another key
// is refused as a Conflict.
func AnnounceEdge(_ workflow.Context, _ fleet.EdgeRecord) (*fleet.EdgeAnswer, error) {
	return nil, readFailure(errNoEdges)
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
	Published EdgePublished `json:"published"`
}

// AdmitEdge admits an edge by its key, and publishes to it all that edges serve.
func AdmitEdge(_ workflow.Context, _ AdmitEdgeInput) (*AdmitEdgeResult, error) {
	return nil, readFailure(errNoEdges)
}

// RemoveEdge forgets an edge and its key: it gets nothing any more, and ports that it
// may still serve can be allocated again. The error is NotFound if there is no such
// edge.
func RemoveEdge(_ workflow.Context, _ string) error {
	return readFailure(errNoEdges)
}

// EdgesInput selects edges.
type EdgesInput struct {
	// Name selects one; empty means all.
	Name string `json:"name,omitempty"`
}

// EdgesResult is edges, each with its status.
type EdgesResult struct {
	Edges []fleet.EdgeState `json:"edges"`
	// Silent are the admitted edges that do not answer now, with the reasons. Their
	// status is the last one that was recorded.
	Silent map[string]*fault.Error `json:"silent,omitempty"`
}

// Edges reads edges, and asks each that is admitted for its status.
func Edges(_ workflow.Context, _ EdgesInput) (*EdgesResult, error) {
	return nil, readFailure(errNoEdges)
}

// RoutesInput selects published routes.
type RoutesInput struct {
	// Service selects by service; empty means all.
	Service string `json:"service,omitempty"`
}

// RoutesResult is what edges serve, by service and in the order of its definition.
type RoutesResult struct {
	Routes []PublishedRoute `json:"routes"`
}

// PublishedRoute is a route of a service that edges serve.
type PublishedRoute struct {
	Service string `json:"service"`
	fleet.EdgeRoute
	// URL is where clients reach it, such as "https://shop.example/api"; "" where a
	// URL does not name it, as with udp.
	URL string `json:"url,omitempty"`
}

// Routes reads the routes that edges serve.
func Routes(_ workflow.Context, _ RoutesInput) (*RoutesResult, error) {
	return nil, readFailure(errNoEdges)
}

// MaintainInput is whether edges answer for a service with a page that says so.
type MaintainInput struct {
	Service string `json:"service"`
	On      bool   `json:"on"`
}

// MaintainResult is what became of the publication, by edge.
type MaintainResult struct {
	Edges []EdgePublished `json:"edges"`
}

// Maintain begins or ends the maintenance of a service. It takes no lock: deploys keep
// the maintenance as it is.
func Maintain(_ workflow.Context, _ MaintainInput) (*MaintainResult, error) {
	return nil, readFailure(errNoEdges)
}

// AccessLogInput selects lines of the access log of a service.
type AccessLogInput struct {
	Service string `json:"service"`
	// Tail is the number of last lines wanted of each edge.
	Tail int `json:"tail"`
	// Since is how far back these may go; 0 for no limit.
	Since time.Duration `json:"since,omitempty"`
}

// AccessLogResult is the access log of a service, by edge.
type AccessLogResult struct {
	Edges []EdgeAccessLog `json:"edges"`
}

// EdgeAccessLog is the access log of a service at one edge.
type EdgeAccessLog struct {
	Edge string `json:"edge"`
	// Lines are JSON objects, oldest first.
	Lines []string `json:"lines"`
	// Error is why the edge did not answer; nil if it did.
	Error *fault.Error `json:"error,omitempty"`
}

// AccessLog reads the access log of a service at every admitted edge.
func AccessLog(_ workflow.Context, _ AccessLogInput) (*AccessLogResult, error) {
	return nil, readFailure(errNoEdges)
}

var errNoEdges error = fault.New(fault.Unavailable, "this control worker serves no edges yet")
