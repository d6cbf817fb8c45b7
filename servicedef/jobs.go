package servicedef

import (
	"cmp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a host may have no time zones

	"github.com/metacircular/mcp/servicedef/cron"
)

// Manual is the schedule of a job that runs only on request.
const Manual = "manual"

// IsJob reports whether the component runs by a schedule and ends by itself.
func (c Component) IsJob() bool { return c.Schedule != "" }

// RunsOnce reports whether the component may end by itself: its container has done its
// work when it ends with exit code 0, because podman does not start it again then. A
// component with a route, a port or a health check must keep running.
func (c Component) RunsOnce() bool {
	stays := len(c.Routes)+len(c.Ports) > 0 || len(c.Health.Cmd) > 0
	return !c.IsJob() && !stays && (c.Restart == "no" || strings.HasPrefix(c.Restart, "on-failure"))
}

// Jobs returns the components that are jobs, in the file's order.
func (s Service) Jobs() []Component {
	return slices.DeleteFunc(slices.Clone(s.Components), func(c Component) bool { return !c.IsJob() })
}

// Lasting returns the components that are not jobs, in the file's order.
func (s Service) Lasting() []Component {
	return slices.DeleteFunc(slices.Clone(s.Components), Component.IsJob)
}

// ParseSchedule parses the schedule of a job: Manual, or what cron.Parse takes.
func ParseSchedule(text string) (cron.Timetable, error) {
	if strings.TrimSpace(text) == Manual {
		return cron.Timetable{}, nil
	}
	return cron.Parse(text)
}

// Timetable returns when a job is due. It is empty for what Parse refuses.
func (c Component) Timetable() cron.Timetable {
	t, _ := ParseSchedule(c.Schedule)
	return t
}

// Zone returns the time zone of a job, UTC by default.
func (c Component) Zone() *time.Location {
	zone, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return time.UTC
	}
	return zone
}

// withoutSchedule returns a job as a component without one.
func (c Component) withoutSchedule() Component {
	c.Schedule, c.Timezone, c.Overlap, c.CatchUp, c.Jitter, c.Timeout, c.Retries, c.Keep = "", "", "", 0, 0, 0, 0, 0
	return c
}

// ZoneName returns the name of a job's time zone.
func (c Component) ZoneName() string { return cmp.Or(c.Timezone, "UTC") }
