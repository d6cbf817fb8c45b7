// Package contract is the test that every runtime.Runtime must pass. What the
// doc comments of that interface promise, and every behaviour of an engine on
// which activities or workflows rely, is a case of it.
//
// Only tests import this package.
package contract
