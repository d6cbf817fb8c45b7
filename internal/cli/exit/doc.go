// Package exit defines the exit codes of mcp and the errors that lead to them.
// Every verb returns one of these errors, and [Classify] finds the code and the
// fault to show. Errors of Temporal's client are translated here, in [Temporal].
package exit
