package servicedef

import (
	"maps"
	"reflect"
	"slices"
	"time"
)

// Limits of jobs.
const (
	// shortestCatchUp is Temporal's.
	shortestCatchUp = Duration(10 * time.Second)
	// longestCatchUp is Temporal's default.
	longestCatchUp = Duration(365 * 24 * time.Hour)
	longestJitter  = Duration(24 * time.Hour)
	shortestJob    = Duration(time.Second)
	longestJob     = Duration(30 * 24 * time.Hour)
	maxRetries     = 100
	maxKeep        = 1000
)

// job checks what concerns jobs of a component.
func (r *report) job(key string, c Component) {
	at := func(name string) string { return joinKey(key, name) }
	if !c.IsJob() {
		set := map[string]bool{
			"timezone": c.Timezone != "", "overlap": c.Overlap != "", "catch_up": c.CatchUp != 0, "jitter": c.Jitter != 0,
			"timeout": c.Timeout != 0, "retries": c.Retries != 0, "keep": c.Keep != 0,
		}
		for _, name := range slices.Sorted(maps.Keys(set)) {
			if set[name] {
				r.add(at(name), "is for a job, a component with a schedule")
			}
		}
		return
	}
	if _, err := ParseSchedule(c.Schedule); err != nil {
		r.add(at("schedule"), "%v: %q", err, c.Schedule)
	}
	r.timezone(at("timezone"), c.Timezone)
	if !slices.Contains([]Overlap{OverlapSkip, OverlapQueue, OverlapReplace}, c.Overlap) {
		r.add(at("overlap"), "must be %q, %q or %q, not %q", OverlapSkip, OverlapQueue, OverlapReplace, c.Overlap)
	}
	r.between(at("catch_up"), c.CatchUp, shortestCatchUp, longestCatchUp)
	r.between(at("jitter"), c.Jitter, 0, longestJitter)
	r.between(at("timeout"), c.Timeout, shortestJob, longestJob)
	if c.Retries < 0 || c.Retries > maxRetries {
		r.add(at("retries"), "must be from 0 to %d", maxRetries)
	}
	if c.Keep < 1 || c.Keep > maxKeep {
		r.add(at("keep"), "must be from 1 to %d", maxKeep)
	}
	r.notOfJobs(key, c)
}

// notOfJobs refuses the keys of a container that runs all the time.
func (r *report) notOfJobs(key string, c Component) {
	usual := Health{
		Interval: defaultInterval, Timeout: defaultTimeout, MinHealthy: defaultMinHealthy, Retries: defaultRetries,
		StartPeriod: startPeriodBlind,
	}
	set := []struct {
		key string
		has bool
		why string
	}{
		{"routes", len(c.Routes) > 0, "a job serves no clients: leave the routes out, or the schedule"},
		{"ports", len(c.Ports) > 0, "a job serves no clients: leave the ports out, or the schedule"},
		{"order", c.Order != c.defaultOrder(), "is for containers that are replaced; what becomes of two runs of a job is overlap"},
		{"drain", c.Drain != defaultDrain, "is for containers with routes, which a job does not have"},
		{"health", len(c.Routes)+len(c.Ports) == 0 && !reflect.DeepEqual(c.Health, usual), "is for containers that run all the time; a job succeeds when it ends with exit code 0"},
		{"restart", c.Restart != "no", `is for containers that run all the time; a job that fails runs again by retries`},
		{"depends_on", len(c.DependsOn) > 0, "is for the order of a deploy, which starts no job"},
	}
	for _, s := range set {
		if s.has {
			r.add(joinKey(key, s.key), "%s", s.why)
		}
	}
}

// timezone checks the name of a time zone, which Temporal knows too.
func (r *report) timezone(key, name string) {
	if name == "Local" {
		r.add(key, `must be the name of a time zone, such as "Europe/Berlin", and not "Local": hosts differ in it`)
	} else if _, err := time.LoadLocation(name); err != nil {
		r.add(key, `must be the name of a time zone, such as "Europe/Berlin" or "UTC", not %q`, name)
	}
}

// between checks a duration.
func (r *report) between(key string, d, least, most Duration) {
	if d < least || d > most {
		r.add(key, "must be from %s to %s, not %s", time.Duration(least), time.Duration(most), time.Duration(d))
	}
}

// jobs checks what concerns the jobs of a service together.
func (r *report) jobs(s *Service) {
	for i, c := range s.Components {
		for j, name := range c.DependsOn {
			if other, ok := s.Component(name); ok && other.IsJob() {
				r.add(elementKey(componentKey(i, "depends_on"), j), "%s is a job, which runs by its schedule and not in a deploy", name)
			}
		}
	}
	for i, step := range s.Steps {
		for j, name := range step.DependsOn {
			if c, ok := s.Component(name); ok && c.IsJob() {
				r.add(elementKey(joinKey(elementKey("steps", i), "depends_on"), j), "%s is a job, which runs by its schedule and not in a deploy", name)
			}
		}
	}
}
