// Package plan decides what a deploy does. It is pure: the desired definition, the
// committed release and the survey of the nodes go in, steps come out. It reads nothing,
// changes nothing and has no clock. The packages in its folder decide what else
// follows from definitions and releases.
package plan
