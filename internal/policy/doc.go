// Package policy decides what the owner of a node lets containers have of it: a policy is
// read from text and judges a component, a command or a build. All of it is pure: what a
// path leads to on the host is an argument.
package policy
