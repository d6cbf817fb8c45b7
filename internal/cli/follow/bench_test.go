package follow

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
)

// recorded is a history that a deploy has left.
func recorded(b *testing.B, name string) *history.History {
	file, err := os.Open("../../../workflows/testdata/histories/" + name)
	require.NoError(b, err)
	defer file.Close()
	h, err := client.HistoryFromJSON(file, client.HistoryJSONOptions{})
	require.NoError(b, err)
	return h
}

func BenchmarkTimeline(b *testing.B) {
	for _, live := range []bool{false, true} {
		b.Run(fmt.Sprintf("live=%t", live), func(b *testing.B) {
			events := recorded(b, "0002/pruned.json").GetEvents()
			b.ReportAllocs()
			for b.Loop() {
				var out bytes.Buffer
				view := newTimeline(&out)
				view.live = live
				for _, e := range events {
					view.event(e)
				}
				require.Contains(b, out.String(), "commit the release")
			}
			b.ReportMetric(float64(len(events)), "events/op")
		})
	}
}
