// Package activities defines the task queues, and what activities of several kinds share. The
// activities themselves are in the packages below it: each exported method of
// [onnode.Node], [oncontrol.Control], [onbuilder.Builder] and [onedge.Edge] is one
// Temporal activity, on the task queues of its kind.
//
// Every activity may run twice, or die half-way: it checks the current state first
// and does only what is missing. What it needs from the outside is declared in its own
// package, as small interfaces; the adapters that satisfy them are wired in package
// workers. Decisions are made by packages plan and watch; where one has to be made inside
// a transaction, the activity hands it to the registry.
//
// [onnode.Node]: https://pkg.go.dev/github.com/metacircular/mcp/activities/onnode#Node
// [oncontrol.Control]: https://pkg.go.dev/github.com/metacircular/mcp/activities/oncontrol#Control
// [onbuilder.Builder]: https://pkg.go.dev/github.com/metacircular/mcp/activities/onbuilder#Builder
// [onedge.Edge]: https://pkg.go.dev/github.com/metacircular/mcp/activities/onedge#Edge
package activities
