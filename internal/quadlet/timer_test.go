package quadlet

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/cron"
)

func TestTimersAreDueWhenTheirJobsAre(t *testing.T) {
	const berlin = "Europe/Berlin"
	for _, test := range []struct {
		schedule, zone string
		want           []string
	}{
		{"@daily", "", []string{"*-*-* 0:0:00 UTC"}},
		{"*/15 * * * *", "", []string{"*-*-* *:0,15,30,45:00 UTC"}},
		{"5,10-12 9-17 * * *", berlin, []string{"*-*-* 9..17:5,10..12:00 Europe/Berlin"}},
		{"0 22 * * sun,sat", berlin, []string{"Sun,Sat *-*-* 22:0:00 Europe/Berlin"}},
		{"0 0 29 2 *", "", []string{"*-2-29 0:0:00 UTC"}},
		{"0 12 1,15 * fri", "", []string{"*-*-1,15 12:0:00 UTC", "Fri *-*-* 12:0:00 UTC"}},
		{"@every 20m", "", []string{"*-*-* *:0/20:00 UTC"}},
		{"@every 1m", "", []string{"*-*-* *:0/1:00 UTC"}},
		{"@every 1h", "", []string{"*-*-* 0/1:00:00 UTC"}},
		{"@every 6h", "", []string{"*-*-* 0/6:00:00 UTC"}},
		{"@every 24h", "", []string{"*-*-* 0:00:00 UTC"}},
		{"@every 90m", "", nil},
		{"@every 90s", "", nil},
		{"@every 48h", "", nil},
	} {
		job := servicedef.Component{Schedule: test.schedule, Timezone: test.zone}
		table, err := servicedef.ParseSchedule(test.schedule)
		require.NoError(t, err)
		got := calendars(table, job.Zone())
		require.Equal(t, test.want, got, test.schedule)
		if got != nil {
			requireDue(t, table, job.Zone(), got)
		}
	}
}

// elapse matches when systemd-analyze expects a calendar to elapse.
var elapse = regexp.MustCompile(`(?:Next elapse|Iter\. #\d+|Iteration #\d+): (\w+ [0-9: -]+ UTC)`)

// requireDue compares the next times of a timetable with systemd's, where there is one.
func requireDue(t *testing.T, table cron.Timetable, zone *time.Location, expressions []string) {
	t.Helper()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return
	}
	const iterations = 6
	from := time.Date(2027, time.March, 20, 11, 7, 30, 0, time.UTC)
	var theirs, ours []time.Time
	for _, expression := range expressions {
		cmd := exec.Command(analyze, "calendar", "--iterations=6", "--base-time="+from.Format(time.DateTime+" MST"), expression)
		cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", said)
		found := elapse.FindAllSubmatch(said, -1)
		require.Len(t, found, iterations, "%s", said)
		for _, at := range found {
			due, err := time.Parse("Mon "+time.DateTime+" MST", string(at[1]))
			require.NoError(t, err)
			theirs = append(theirs, due)
		}
	}
	slices.SortFunc(theirs, time.Time.Compare)
	theirs = slices.Compact(theirs)[:iterations]
	for next := from; len(ours) < iterations; ours = append(ours, next.UTC()) {
		next = table.Next(next, zone)
	}
	require.Equal(t, ours, theirs, "%q", expressions)
}
