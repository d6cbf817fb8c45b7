// Package machines sets up a fleet as docs/operating.md describes it, on machines of their
// own: the host of the control plane, an operator's and a node. Each is a set of Linux
// namespaces with files, processes and a network of its own, so that what a machine has
// not been given it does not have. The control plane's Temporal and Postgres listen on its
// loopback: others reach its gateway, and nothing else.
//
// A machine ends with its first process, and that with the test, however the test ends.
package machines
