// Command bench measures what mcp costs compared with the same work without it,
// on a local platform that it starts. Each figure has its reference in the same
// run, because machines differ: the ratios are what counts. make bench runs it.
package main
