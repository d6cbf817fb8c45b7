// Package startup makes mcp start faster, because each completion of a command
// in a shell runs it. Only the program imports it, never a package that tests
// import.
package startup
