package oncontrol

import (
	"context"

	"github.com/metacircular/mcp/internal/fleet"
)

// RecordTask records a run of a step or a job, and how it stands.
func (a *Control) RecordTask(ctx context.Context, in fleet.TaskRecord) error {
	in.TaskResult = in.Checked()
	return a.Registry.RecordTask(ctx, in)
}

// Tasks reads runs of steps and jobs, newest first.
func (a *Control) Tasks(ctx context.Context, in fleet.TaskQuery) ([]fleet.TaskRecord, error) {
	records, err := a.Registry.Tasks(ctx, in)
	for i := range records {
		if in.Bare {
			records[i].Log = nil
		}
	}
	return records, err
}
