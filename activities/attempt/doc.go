// Package attempt implements what an attempt of any activity does: it reports progress in
// heartbeats, is given up when it makes none, limits how long a transfer may take, and
// ends with a fault that Temporal records by its kind.
package attempt
