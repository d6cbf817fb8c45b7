package watch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
)

func TestMarkOverdue(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, test := range map[string]struct {
		announced, observed time.Duration
		interval            time.Duration
		want                bool
	}{
		"observed lately":                       {time.Hour, 10 * time.Second, 30 * time.Second, false},
		"two observations are missing":          {time.Hour, 90 * time.Second, 30 * time.Second, false},
		"three observations are missing":        {time.Hour, 91 * time.Second, 30 * time.Second, true},
		"a minute may always pass":              {time.Hour, 59 * time.Second, time.Second, false},
		"a minute has passed":                   {time.Hour, 61 * time.Second, time.Second, true},
		"its worker has just announced itself":  {time.Second, time.Hour, 30 * time.Second, false},
		"the interval is longer than the pause": {time.Hour, 10 * time.Minute, 5 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := fleet.NodeState{Observed: ago(test.observed)}
			n.Seen = ago(test.announced)
			nodes := []fleet.NodeState{n}
			watch.MarkOverdue(nodes, now, test.interval)
			require.Equal(t, test.want, nodes[0].Overdue)
		})
	}
}
