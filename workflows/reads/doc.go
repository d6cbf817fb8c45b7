// Package reads holds the workflows that only read, with their inputs and results: what
// the registry has, what runs on nodes, what edges serve, and what containers print. A
// client starts them under ids that begin with "read/". No workflow that changes something
// uses one.
package reads
