package podman

import "time"

// WithBounds limits every bound of a call.
func (e *Engine) WithBounds(longest time.Duration) *Engine {
	e.longest = longest
	return e
}
