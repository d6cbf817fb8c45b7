package quadlet

import (
	"strconv"
	"strings"
	"time"

	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/servicedef/cron"
)

// timer returns the unit that starts a job when it is due; false for a job that runs only
// when it is asked for.
func (ex *exporting) timer(c servicedef.Component) (File, bool) {
	name := servicedef.ContainerNameFor(ex.service.Name, c.Name)
	table := c.Timetable()
	if len(table.Calendars) == 0 && table.Every == 0 {
		ex.note(keyOf(c, "schedule"), "it runs when it is asked for: systemctl start %s.service", name)
		return File{}, false
	}
	u := &unit{}
	u.section("Unit")
	u.set("Description", specifiers(ex.service.Name+"/"+c.Name+", when it is due"))
	u.section("Timer")
	if expressions := calendars(table, c.Zone()); expressions != nil {
		for _, expression := range expressions {
			u.set("OnCalendar", expression)
		}
		u.set("Persistent", "true")
		ex.note(keyOf(c, "catch_up"), "systemd starts a run that was missed however late it is; Persistent=false leaves it out")
	} else {
		u.set("OnActiveSec", seconds(servicedef.Duration(table.Every)))
		u.set("OnUnitActiveSec", seconds(servicedef.Duration(table.Every)))
		ex.note(keyOf(c, "schedule"), "systemd counts %s from the last start, and mcp from the beginning of 1970", table.Every)
	}
	u.set("AccuracySec", "1s")
	if c.Jitter > 0 {
		u.set("RandomizedDelaySec", seconds(c.Jitter))
	}
	if ex.service.Active {
		u.section("Install")
		u.set("WantedBy", "timers.target")
	}
	ex.note(keyOf(c, "schedule"), "Quadlet reads no timers: put %[1]s.timer in /etc/systemd/system, then run systemctl enable --now %[1]s.timer", name)
	return File{name + ".timer", u.String()}, true
}

// job notes what systemd does not do for a job.
func (ex *exporting) job(c servicedef.Component) {
	if c.Overlap != servicedef.OverlapSkip {
		ex.note(keyOf(c, "overlap"), "systemd leaves out a run that is due while another one is under way")
	}
	if c.Retries > 0 {
		ex.note(keyOf(c, "retries"), "systemd does not run a job again that has failed: the next run is the one that is due next")
	}
}

// steps notes the steps of a deployment, which systemd does not have.
func (ex *exporting) steps() {
	for _, step := range ex.service.Steps {
		ex.note("steps."+step.Name, "systemd knows no deployments: run it by hand, %s each one", step.When)
	}
}

// calendars returns a timetable as systemd.time(7) writes it; nil for an interval that does
// not begin again each hour or each day.
func calendars(table cron.Timetable, zone *time.Location) []string {
	if table.Every > 0 {
		return intervals(int(table.Every/time.Minute), table.Every%time.Minute == 0)
	}
	var list []string
	for _, c := range table.Calendars {
		text := "*-" + numbers(c.Months, 1, 12) + "-" + numbers(c.Days, 1, 31) + " " +
			numbers(c.Hours, 0, 23) + ":" + numbers(c.Minutes, 0, 59) + ":00 " + zone.String()
		if len(c.Weekdays) < 7 {
			var days []string
			for _, day := range c.Weekdays {
				days = append(days, time.Weekday(day).String()[:3])
			}
			text = strings.Join(days, ",") + " " + text
		}
		list = append(list, text)
	}
	return list
}

// intervals returns the times of a day, in UTC, that are so many minutes apart.
func intervals(minutes int, whole bool) []string {
	const hour, day = 60, 24 * 60
	switch {
	case !whole:
		return nil
	case minutes == day:
		return []string{"*-*-* 0:00:00 UTC"}
	case minutes%hour == 0 && day%minutes == 0:
		return []string{"*-*-* 0/" + strconv.Itoa(minutes/hour) + ":00:00 UTC"}
	case hour%minutes == 0:
		return []string{"*-*-* *:0/" + strconv.Itoa(minutes) + ":00 UTC"}
	}
	return nil
}

// numbers formats a sorted list of the numbers from one to another: "*" for all.
func numbers(list []int, from, to int) string {
	if len(list) == to-from+1 {
		return "*"
	}
	var parts []string // neighbours are joined: "1..5,7"
	for len(list) > 0 {
		end := 1
		for end < len(list) && list[end] == list[0]+end {
			end++
		}
		part := strconv.Itoa(list[0])
		if end > 1 {
			part += ".." + strconv.Itoa(list[end-1])
		}
		parts = append(parts, part)
		list = list[end:]
	}
	return strings.Join(parts, ",")
}
