// Package selection finds the components of a release that a caller names, and says why
// there is none. It is pure, as plan is.
package selection

import (
	"fmt"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// toRead is what is done to a release whose containers are read.
const toRead = "read"

// Members returns the components of a release, or one of them, and the names of all.
func Members(release fleet.Release, component string) ([]fleet.Member, []string, error) {
	service, members := release.Service, release.Members()
	names, selected, only := []string{}, members, []string(nil)
	if component != "" {
		only = []string{component}
	}
	if err := Require(release, toRead, only); err != nil {
		return nil, nil, err
	}
	if len(members) == 0 {
		return nil, nil, fault.New(fault.NotFound, "service %s has only jobs", service).WithHint("list their runs: mcp jobs %s", service)
	}
	for _, m := range members {
		if m.Component == component {
			selected = []fleet.Member{m}
		}
		names = append(names, m.Component)
	}
	return selected, names, nil
}

// Require fails if a service has no release with containers, or if its release lacks one
// of the components.
func Require(release fleet.Release, doing string, components []string) error {
	service := release.Service
	switch {
	case release.Newest == 0:
		return NeverDeployed(service)
	case release.LostKey != "" && doing != toRead:
		return fault.New(fault.NotFound, "%s service %s: the definition of its release %d is lost with encryption key %s", doing, service, release.Number, release.LostKey).
			WithHint("deploy it from its file: mcp deploy %s", service)
	case release.Definition == nil && release.LostKey == "":
		return fault.New(fault.NotFound, "service %s has no release: no deploy of it has succeeded", service).
			WithHint("see why: mcp history %s", service)
	case len(release.Components)+len(release.Jobs) == 0:
		return fault.New(fault.NotFound, "service %s is undeployed: there is nothing to %s", service, doing).
			WithHint("bring back what ran: mcp rollback %s; or deploy its definition: mcp deploy %s", service, service)
	}
	for _, name := range components {
		if _, ok := release.Jobs[name]; ok {
			return fault.New(fault.Invalid, "%s is a job of service %s: it has no container to %s", name, service, doing).
				WithHint("list its runs: mcp job history %s/%s; run it now: mcp run %s/%s", service, name, service, name)
		}
		if _, ok := release.Components[name]; ok {
			continue
		}
		if slices.Contains(release.StepNames(), name) {
			return fault.New(fault.Invalid, "%s is a step of service %s: it has no container to %s", name, service, doing).
				WithHint("see what its last run has printed: mcp logs %s/%s", service, name)
		}
		message := fmt.Sprintf("the release of service %s has no component %s: it has %s", service, name, strings.Join(release.MemberNames(), ", "))
		return fault.New(fault.NotFound, "%s", withPrograms(release, message))
	}
	return nil
}

// withPrograms is the fault of a component that a release does not have, with the names of
// its steps and jobs as well as of its components.
func withPrograms(release fleet.Release, message string) string {
	if jobs := release.JobNames(); len(jobs) > 0 {
		message += "; its jobs are " + strings.Join(jobs, ", ")
	}
	if steps := release.StepNames(); len(steps) > 0 {
		message += "; its steps are " + strings.Join(steps, ", ")
	}
	return message
}

// NeverDeployed is the fault of a service that has no deployment.
func NeverDeployed(service string) error {
	return fault.New(fault.NotFound, "service %s has never been deployed", service).WithHint("deploy it: mcp deploy %s", service)
}
