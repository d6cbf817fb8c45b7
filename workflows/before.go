package workflows

// Before returns the number of the release that a rollback goes back to: where
// containers run, the newest one that ran before what runs now; where none do, after a
// stop, an undeploy or a deploy of an inactive definition, the one that ran last. It
// returns 0 if there is none.
//
// A start, a restart or a reconcile repeats the release before it, so the number is that
// of the release which it repeats; unless that one is inactive: then it is the number of
// the start.
func (h HistoryResult) Before() int {
	passed := false // the release, and the one that it repeats
	started := 0    // a release that repeats an older one
	for _, d := range h.Deployments {
		repeats := Verb(d.Verb).Repeats()
		switch {
		case d.Number > h.Release || d.Outcome != string(Succeeded):
		case d.Number == h.Release && !d.Active:
			passed = true
		case !passed:
			passed = !repeats
		case !d.Active && repeats: // a stop or an undeploy
		case !d.Active && started != 0:
			return started
		case !d.Active:
		case repeats && started == 0:
			started = d.Number
		case !repeats:
			return d.Number
		}
	}
	return started
}
