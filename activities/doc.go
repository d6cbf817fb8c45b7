// Package activities holds the steps that workflows take: each method of Control,
// Node and Builder is one Temporal activity, on the task queue of its kind.
//
// Every activity may run twice, or die half-way: it checks the current state first
// and does only what is missing. What it needs of the outside is declared here, as
// small interfaces (needs.go, stores.go); the adapters that satisfy them are wired in
// package workers. Decisions are made by packages plan and watch; where one has to
// be made inside a transaction, the activity hands it to the registry.
package activities
