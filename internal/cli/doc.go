// Package cli is mcp's command line. It has the root command, the exit codes, the
// version and the completion; the verbs are in the packages below, in groups that do
// not import one another. The command line speaks to Temporal alone.
package cli
