package cron_test

import (
	"testing"
	"time"
	_ "time/tzdata" // a host may have no time zones

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef/cron"
)

func TestWhenAScheduleIsDue(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	at := func(text string, zone *time.Location) time.Time {
		parsed, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
		require.NoError(t, err)
		return parsed
	}
	tests := []struct {
		schedule, after string
		zone            *time.Location
		next            []string
	}{
		{"0 3 * * *", "2026-03-01 03:00", time.UTC, []string{"2026-03-02 03:00", "2026-03-03 03:00"}},
		{"*/20 8-9 * * mon-fri", "2026-03-06 09:30", time.UTC, []string{"2026-03-06 09:40", "2026-03-09 08:00"}},
		{"0 0 * * 7", "2026-03-02 00:00", time.UTC, []string{"2026-03-08 00:00"}},
		{"0 0 * * 5-7", "2026-03-05 00:00", time.UTC, []string{"2026-03-06 00:00", "2026-03-07 00:00", "2026-03-08 00:00", "2026-03-13 00:00"}},
		// As in cron, either of the two days suffices.
		{"0 0 1,15 * 1", "2026-03-01 00:00", time.UTC, []string{"2026-03-02 00:00", "2026-03-09 00:00", "2026-03-15 00:00"}},
		{"0 0 31 2 1", "2026-01-31 00:00", time.UTC, []string{"2026-02-02 00:00"}},
		{"0 0 29 feb *", "2097-01-01 00:00", time.UTC, []string{"2104-02-29 00:00"}},
		{"30 12 31 * *", "2026-04-01 00:00", time.UTC, []string{"2026-05-31 12:30"}},
		{"5/20 0 * * *", "2026-04-01 00:00", time.UTC, []string{"2026-04-01 00:05", "2026-04-01 00:25", "2026-04-01 00:45"}},
		{"@monthly", "2026-12-02 00:00", time.UTC, []string{"2027-01-01 00:00"}},
		{"@every 90m", "2026-01-01 00:00", time.UTC, []string{"2026-01-01 01:30", "2026-01-01 03:00"}},
		// On 29 March the clocks skip from 02:00 to 03:00; on 25 October 02:00 comes twice.
		{"30 2 * * *", "2026-03-28 02:30", berlin, []string{"2026-03-30 02:30"}},
		{"0 4 * * *", "2026-03-28 04:00", berlin, []string{"2026-03-29 04:00"}},
	}
	for _, test := range tests {
		t.Run(test.schedule, func(t *testing.T) {
			table, err := cron.Parse(test.schedule)
			require.NoError(t, err)
			now := at(test.after, test.zone)
			for _, want := range test.next {
				now = table.Next(now, test.zone)
				require.Equal(t, want, now.Format("2006-01-02 15:04"))
			}
		})
	}
	t.Run("a time that comes twice", func(t *testing.T) {
		table, err := cron.Parse("30 2 * * *")
		require.NoError(t, err)
		first := table.Next(at("2026-10-25 00:00", berlin), berlin)
		require.Equal(t, "2026-10-25T02:30:00+02:00", first.Format(time.RFC3339))
		require.Equal(t, "2026-10-25T02:30:00+01:00", table.Next(first, berlin).Format(time.RFC3339))
	})
}
