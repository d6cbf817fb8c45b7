package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/servicedef"
)

// jobs plans the jobs of the definition, and of the release.
func (p *planner) jobs() error {
	for _, c := range p.Desired.Jobs() {
		step, err := p.job(c)
		if err != nil {
			return err
		}
		p.plan.Jobs = append(p.plan.Jobs, step)
	}
	for _, name := range sortedNodes(p.Release.Jobs) {
		c, wanted := p.Desired.Component(name)
		if wanted && c.IsJob() || len(p.Only) > 0 {
			continue
		}
		old := p.releasedJob(name)
		p.plan.Jobs = append(p.plan.Jobs, JobStep{Job: name, Node: old.Node, Action: Remove})
	}
	return nil
}

// job plans one job.
func (p *planner) job(c servicedef.Component) (JobStep, error) {
	released, exists := p.Release.Jobs[c.Name]
	step := JobStep{
		Job: c.Name, Node: c.Node, Action: Keep, Schedule: c.Schedule, Timezone: c.ZoneName(), Paused: !released.Paused.IsZero(),
	}
	switch {
	case !p.Desired.Active:
		step.Schedule, step.Timezone = "", ""
		if exists && p.Release.Active {
			step.Action = Stop
		}
		return step, nil
	case len(p.Only) > 0 && !slices.Contains(p.Only, c.Name):
	case !exists:
		step.Action = Create
	default:
		step.Changes = p.jobChanges(c, released)
		if !p.Release.Active {
			step.Changes = append(step.Changes, Change{Field: "active", From: "false", To: "true"})
		}
		if len(step.Changes) > 0 {
			step.Action = Replace
		}
	}
	if !step.Paused && !p.Now.IsZero() {
		step.Next = c.Timetable().Next(p.Now, c.Zone())
	}
	if step.Action == Keep {
		return step, nil
	}
	if err := p.possible(c); err != nil {
		return step, err
	}
	return step, p.fits("job "+c.Name, c)
}

// releasedJob returns the release's definition of a job.
func (p *planner) releasedJob(name string) servicedef.Component {
	if p.Release.Definition == nil {
		return servicedef.Component{}
	}
	c, _ := p.Release.Definition.Component(name)
	return c
}

// jobChanges compares a job with that of the release.
func (p *planner) jobChanges(c servicedef.Component, released fleet.Job) []Change {
	digest := p.Digests[c.Image]
	if p.Pinned {
		digest = released.Digest
	}
	old := p.releasedJob(c.Name)
	var changes []Change
	add := func(field string, from, to any) {
		if from, to := fmt.Sprint(from), fmt.Sprint(to); from != to {
			changes = append(changes, Change{Field: field, From: from, To: to})
		}
	}
	add("node", old.Node, c.Node)
	add("schedule", old.Schedule, c.Schedule)
	add("timezone", old.ZoneName(), c.ZoneName())
	add("overlap", old.Overlap, c.Overlap)
	add("catch_up", time.Duration(old.CatchUp), time.Duration(c.CatchUp))
	add("jitter", time.Duration(old.Jitter), time.Duration(c.Jitter))
	add("timeout", time.Duration(old.Timeout), time.Duration(c.Timeout))
	add("retries", old.Retries, c.Retries)
	add("keep", old.Keep, c.Keep)
	if digest == "" || SpecHash(old, released.Digest) != SpecHash(c, digest) {
		changes = append(changes, p.fieldChanges(c, fleet.Member{Image: released.Image, Digest: released.Digest}, digest, fleet.Container{})...)
	}
	return changes
}

// Jobs returns the jobs of the release that a plan leads to. Digest returns that of a
// job's image if the plan does not leave the job alone.
func Jobs(desired servicedef.Service, release fleet.Release, made Plan, digest func(servicedef.Component) string) []fleet.Job {
	var jobs []fleet.Job
	for _, step := range made.Jobs {
		c, wanted := desired.Component(step.Job)
		if !wanted || step.Action == Remove {
			continue
		}
		job := fleet.Job{Name: c.Name, Image: c.Image, Digest: release.Jobs[c.Name].Digest}
		if step.Action == Create || step.Action == Replace {
			job.Digest = cmp.Or(digest(c), job.Digest)
		}
		if job.Digest == "" {
			continue // one of a stopped service that was never deployed
		}
		jobs = append(jobs, job)
	}
	return jobs
}

// JobsOf returns the jobs of a release that a definition still has.
func JobsOf(definition servicedef.Service, release fleet.Release) []fleet.Job {
	var jobs []fleet.Job
	for _, c := range definition.Jobs() {
		if job, released := release.Jobs[c.Name]; released {
			jobs = append(jobs, job)
		}
	}
	slices.SortFunc(jobs, func(a, b fleet.Job) int { return strings.Compare(a.Name, b.Name) })
	return jobs
}
