// Package plan decides what a deploy has to do. It is pure: the desired
// definition, the committed release and the survey of the nodes go in, steps
// come out. It reads nothing, changes nothing and knows no clock.
package plan
