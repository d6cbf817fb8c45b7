// Package ui is the terminal of a command: what it prints for a person, what it
// prints as JSON, what it asks, and the words it has for times, sizes and faults.
// It does not depend on Temporal.
package ui
