package runtime_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/runtime"
)

func TestLogMark(t *testing.T) {
	at := func(second int, text string) runtime.LogLine {
		return runtime.LogLine{Time: time.Unix(int64(second), 0), Text: text}
	}
	whole := []runtime.LogLine{at(1, "a"), at(1, "b"), at(2, "c"), at(2, "d"), at(3, "e")}
	var mark runtime.LogMark
	require.False(t, mark.Before(mark))
	for i, line := range whole {
		former := mark
		mark.Pass(line)
		require.True(t, former.Before(mark))
		require.False(t, mark.Before(former))
		for _, cut := range []int{0, 2, 4} { // the log begins anew with that line
			var rest []string
			missing := false
			each := mark.After(func(line runtime.LogLine, lost bool) bool {
				rest = append(rest, line.Text)
				missing = missing || lost
				return true
			})
			for _, line := range whole[cut:] {
				if !line.Time.Before(mark.Time) {
					each(line)
				}
			}
			require.Equal(t, i < cut && len(rest) > 0, missing, "line %d of a log from %d on", i, cut)
			if cut == 0 {
				require.Len(t, rest, len(whole)-i-1)
			}
		}
	}
}
