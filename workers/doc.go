// Package workers wires the roles that a process can hold: which task queue each
// polls, which workflows and activities it serves there, and how it stops.
package workers
