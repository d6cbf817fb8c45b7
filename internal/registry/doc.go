// Package registry keeps mcp's own tables in Postgres: the services and what they
// should run, the nodes and their last observations, the holders of host ports,
// every deployment, and the events.
//
// Each public method of Store is one transaction, and may be called twice
// with the same request: the caller does not always learn that the first call
// was carried out. Errors are *fault.Error; while Postgres cannot be reached
// they are Unavailable.
//
// The registry decides nothing. Where a decision depends on what the tables hold,
// the method takes it as a pure function and calls it inside its transaction.
package registry
