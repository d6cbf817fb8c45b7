// Package keys reads and writes the files of an operator: the key that signs secrets,
// and the keys of nodes and of recovery that are pinned, in a file for version control.
package keys
