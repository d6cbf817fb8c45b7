package servicedef_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/servicedef"
)

func TestAJobThatRunsByHandIsNeverDue(t *testing.T) {
	table, err := servicedef.ParseSchedule(servicedef.Manual)
	require.NoError(t, err)
	require.Zero(t, table.Next(time.Now(), time.UTC))
}

func TestASchedulesRules(t *testing.T) {
	job := func(schedule string) string {
		return edit(t, "# db", "schedule = \""+schedule+"\"\nrestart = \"no\" # db")
	}
	for schedule, message := range map[string]string{
		"0 0 31 2 *":            "never fires",
		"0 0 30 2 *":            "never fires",
		"0 0 31 4,6,9,11 *":     "never fires",
		"0 0 3 * * *":           "has 6 fields",
		"0 0 3 * * * 2026":      "has 7 fields",
		"0 3 * *":               "it has 4",
		"60 3 * * *":            `minute: "60" is not a number from 0 to 59`,
		"0 24 * * *":            `hour: "24"`,
		"0 3 0 * *":             `day of the month: "0"`,
		"0 3 * 13 *":            `month: "13"`,
		"0 3 * * 8":             `weekday: "8"`,
		"0 3 * * foo":           `weekday: "foo"`,
		"0 3 L * *":             `day of the month: "L"`,
		"0 3 * * 5#2":           `weekday: "5#2"`,
		"*/0 * * * *":           "the step must be",
		"*/90 * * * *":          "the step must be a number from 1 to 59",
		"30-10 * * * *":         "ends before it begins",
		"1,,2 * * * *":          `minute: ""`,
		"+1 * * * *":            `minute: "+1"`,
		"-1 * * * *":            `minute: ""`,
		"@reboot":               "@reboot is no time",
		"@fortnightly":          "must be one of @hourly",
		"@every":                "must be one of @hourly",
		"@every 5s":             "must be at least @every 1m0s",
		"@every soon":           "must have a duration after @every",
		"TZ=UTC 0 3 * * *":      "belongs in the key timezone",
		"CRON_TZ=UTC 0 3 * * *": "belongs in the key timezone",
		"every day":             "must have five fields",
	} {
		t.Run(schedule, func(t *testing.T) {
			found := problems(t, job(schedule))
			require.Len(t, found, 1)
			require.Equal(t, "components[1].schedule", found[0].Key)
			require.Contains(t, found[0].Message, message)
		})
	}
}

func TestTheRulesOfAJob(t *testing.T) {
	job := "schedule = \"0 3 * * *\"\n"
	tests := []struct{ name, keys, key, message string }{
		{"an unknown time zone", "timezone = \"Mars/Phobos\"", "timezone", `not "Mars/Phobos"`},
		{"the host's time zone", "timezone = \"Local\"", "timezone", "hosts differ in it"},
		{"a time zone outside", "timezone = \"../../etc/passwd\"", "timezone", "must be the name of a time zone"},
		{"an unknown overlap", "overlap = \"forbid\"", "overlap", `must be "skip", "queue" or "replace"`},
		{"a short catch-up", "catch_up = \"1s\"", "catch_up", "must be from 10s"},
		{"a negative jitter", "jitter = \"-1s\"", "jitter", "must be from 0s"},
		{"no timeout", "timeout = \"0s\"", "timeout", "must be from 1s"},
		{"negative retries", "retries = -1", "retries", "must be from 0 to 100"},
		{"no runs to keep", "keep = 0", "keep", "must be from 1 to 1000"},
		{"a static port", "ports = [\"5432:5432\"]", "ports", "a job serves no clients"},
		{"an order", "order = \"stop-first\"", "order", "is overlap"},
		{"a drain", "drain = \"5s\"", "drain", "which a job does not have"},
		{"a restart policy", "restart = \"always\"", "restart", "runs again by retries"},
		{"a dependency", "depends_on = [\"api\"]", "depends_on", "which starts no job"},
		{"a check of health", "[components.health]\ncmd = [\"true\"]", "health", "ends with exit code 0"},
		{"a route", "[[components.routes]]\nname = \"a\"\nport = 80", "routes", "a job serves no clients"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found := problems(t, edit(t, "# db", job+test.keys))
			require.Len(t, found, 1, "%v", found)
			require.Equal(t, "components[1]."+test.key, found[0].Key)
			require.Contains(t, found[0].Message, test.message)
		})
	}
	t.Run("a component that depends on a job", func(t *testing.T) {
		found := problems(t, edit(t, "# api", "depends_on = [\"db\"]")+job)
		require.Len(t, found, 1, "%v", found)
		require.Equal(t, "components[0].depends_on[0]", found[0].Key)
	})
	for _, key := range []string{"timezone = \"UTC\"", "overlap = \"skip\"", "catch_up = \"1m\"", "jitter = \"1s\"", "timeout = \"1m\"", "retries = 1", "keep = 3"} {
		t.Run(key+" without a schedule", func(t *testing.T) {
			found := problems(t, edit(t, "# db", key))
			require.Len(t, found, 1)
			require.Contains(t, found[0].Message, "is for a job, a component with a schedule")
		})
	}
}

func TestAJobsDefaults(t *testing.T) {
	s := parse(t, edit(t, "# db", "schedule = \"0 3 * * *\""))
	db := s.Components[1]
	require.True(t, db.IsJob())
	require.Equal(t, "no", db.Restart)
	require.Equal(t, servicedef.OverlapSkip, db.Overlap)
	require.Equal(t, servicedef.Duration(time.Hour), db.CatchUp)
	require.Equal(t, servicedef.Duration(24*time.Hour), db.Timeout)
	require.Equal(t, 10, db.Keep)
	require.Equal(t, time.UTC, db.Zone())
	require.Equal(t, [][]string{{"api"}}, s.StartOrder(), "a deploy starts no job")
	require.Contains(t, db.Keys(), "schedule", "a node that does not know jobs refuses it")
	again, err := servicedef.Parse([]byte(s.TOML()), "shop.toml")
	require.NoError(t, err)
	require.Equal(t, s, again)
}
