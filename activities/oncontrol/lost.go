package oncontrol

import (
	"context"
)

// closeLost closes the deployments whose run is closed although they have no outcome:
// their workflow was terminated, or timed out. Whatever reads deployments, or decides by
// them, calls it first, so that none of them reports such a deployment as under way.
func (a *Control) closeLost(ctx context.Context) error {
	open, err := a.Registry.OpenRuns(ctx)
	if err != nil {
		return err
	}
	for _, run := range open {
		runs, err := a.Lock.Open(ctx, run.WorkflowID, run.RunID)
		if err == nil && !runs {
			err = a.Registry.CloseLost(ctx, run)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
