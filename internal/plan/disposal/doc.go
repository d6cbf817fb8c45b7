// Package disposal decides what of a service may go for good: the images that no release
// needs any more, and the service itself. It is pure, as plan is.
package disposal
