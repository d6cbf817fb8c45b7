// Package call is how workflows call activities: with the options of each kind of step,
// which bound its attempts, side by side where steps do not depend on each other, and with
// faults that name where a step has failed. It decides nothing.
package call
