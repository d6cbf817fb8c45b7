// Package node reads the state of the host that it runs on: its identity and
// boot, its load, memory and file systems, and its free ports. It alone imports
// gopsutil.
//
// It starts no process, and changes the host in two ways only: NotifyNeighbours
// sets a kernel parameter, and MachineID may write a file.
//
// Package workers imports it for the activities of a node, and bench for its
// measurements.
package node
