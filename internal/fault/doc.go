// Package fault gives every error that reaches an operator one shape: its kind,
// the operation that failed and its cause, the place, and a hint.
package fault
