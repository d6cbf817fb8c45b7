// Package call is how workflows call activities: with the options of each kind of step,
// which bound its attempts, side by side where steps do not depend on each other, and with
// faults that name where a step has failed. It is also how a workflow starts another that
// outlives it, and goes on as a new run when its history is long. It decides nothing.
package call
