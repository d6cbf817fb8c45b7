package plan

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// tasks plans the steps that the deploy runs, if it does anything at all.
func (p *planner) tasks() error {
	if p.plan.Unchanged() {
		return nil
	}
	for _, step := range p.Steps {
		c := p.Desired.StepComponent(step)
		if slices.Contains(p.Release.Draining, c.Node) {
			return &DrainingNodeError{Component: step.Name, Node: c.Node}
		}
		if err := cmp.Or(p.equipped(c), p.fits("step "+step.Name, c)); err != nil {
			return err
		}
		if slices.Contains(p.Nodes[c.Node].UnknownKeys, servicedef.KeySteps) {
			return &UnknownKeyError{Component: step.Name, Node: c.Node, Key: servicedef.KeySteps}
		}
		p.plan.Tasks = append(p.plan.Tasks, Task{
			Name: step.Name, When: step.When, Node: c.Node, Image: c.Image, Cmd: c.Cmd, After: step.DependsOn, Changes: p.stepChanges(step),
		})
	}
	return nil
}

// stepChanges compares a step with the release's definition of it.
func (p *planner) stepChanges(step servicedef.Step) []Change {
	if p.Release.Definition == nil {
		return nil
	}
	old, defined := p.Release.Definition.Step(step.Name)
	if !defined {
		return []Change{{Field: "step", To: step.Name}}
	}
	var changes []Change
	add := func(field string, from, to any) {
		if from, to := fmt.Sprint(from), fmt.Sprint(to); from != to {
			changes = append(changes, Change{Field: field, From: from, To: to})
		}
	}
	was, is := p.Release.Definition.StepComponent(old), p.Desired.StepComponent(step)
	add("when", old.When, step.When)
	add("component", old.Component, step.Component)
	add("image", was.Image, is.Image)
	if before, now := p.Release.StepImages[was.Image], p.Digests[is.Image]; before != "" && now != "" {
		add("digest", before, now)
	}
	add("node", was.Node, is.Node)
	add("cmd", was.Cmd, is.Cmd)
	changes = append(changes, envChanges("env", was.Env, is.Env)...)
	add("secrets", was.Secrets, is.Secrets)
	changes = append(changes, envChanges("secret_env", was.SecretEnv, is.SecretEnv)...)
	changes = append(changes, secretChanges(was, is)...)
	add("volumes", was.Volumes, is.Volumes)
	add("user", was.User, is.User)
	add("network", was.Network, is.Network)
	add("memory", was.Memory, is.Memory)
	add("cpus", was.CPUs, is.CPUs)
	add("depends_on", old.DependsOn, step.DependsOn)
	add("timeout", time.Duration(old.Timeout), time.Duration(step.Timeout))
	add("stop_timeout", time.Duration(old.StopTimeout), time.Duration(step.StopTimeout))
	add("retries", old.Retries, step.Retries)
	add("rollback", old.Rollback, step.Rollback)
	return changes
}
