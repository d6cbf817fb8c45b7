// Package plan decides what a deploy or an adoption does, which images are stale
// after it, and whether a service may be purged. It is pure: the desired
// definition, the committed release and the survey of the nodes go in, steps
// come out. It reads nothing, changes nothing and has no clock.
package plan
