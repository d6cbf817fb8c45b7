package telemetry

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/client"
)

// workerHeartbeat is how often a process reports its workers to Temporal: several times
// while a deploy waits for a node that was seen lately.
const workerHeartbeat = 20 * time.Second

// Connect returns a client for a worker, whose connection t measures and whose health
// t's readiness depends on. It does not connect yet: Temporal may start later.
func (t *Telemetry) Connect(o client.Options) (client.Client, error) {
	t.Instrument(&o)
	o.WorkerHeartbeatInterval = workerHeartbeat
	c, err := client.NewLazyClient(o)
	if err != nil {
		return nil, fmt.Errorf("create a client of Temporal: %w", err)
	}
	t.Check("temporal", func(ctx context.Context) error {
		_, err := c.CheckHealth(ctx, &client.CheckHealthRequest{})
		return err
	})
	return c, nil
}
