// Package session provides what a verb receives: the console, the environment and
// the flags of one command. With them it reads the configuration and the
// definitions, connects to Temporal, and asks the control plane by short workflows.
// It also keeps what completions remember.
package session
