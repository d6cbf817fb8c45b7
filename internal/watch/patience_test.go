package watch_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/watch"
)

func TestPatience(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		seen time.Time
		want time.Duration
	}{
		"never seen":            {time.Time{}, 0},
		"seen now":              {now, watch.Absence},
		"seen a moment ago":     {now.Add(-30 * time.Second), watch.Absence - 30*time.Second},
		"away for long":         {now.Add(-time.Hour), 0},
		"away exactly so long":  {now.Add(-watch.Absence), 0},
		"a clock that is ahead": {now.Add(time.Hour), watch.Absence},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, watch.Patience(test.seen, now)) })
	}
}
