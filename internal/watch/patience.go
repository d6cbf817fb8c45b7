package watch

import "time"

// Absence is how long after a node was last seen a deploy waits for its worker: longer
// than most restarts and reboots take, and as long as the undo of a deploy waits for it.
const Absence = 2 * time.Minute

// Patience returns how much longer to wait for a node that does not answer and was last
// seen then. It is 0 for a node that is away for longer than Absence, or was
// never seen.
//
// A host's clock may be ahead of the clock here; what it has reported in the
// future counts as seen now.
func Patience(seen, now time.Time) time.Duration {
	if seen.IsZero() {
		return 0
	}
	return max(0, Absence-max(0, now.Sub(seen)))
}
