// Package exchange finds what services that are deployed together take from one another,
// and in which order they are then deployed. It is pure, as plan is.
package exchange

import (
	"fmt"
	"slices"
	"strings"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/plan"
	"github.com/metacircular/mcp/internal/plan/publication"
	"github.com/metacircular/mcp/servicedef"
)

// Movement is a service that is to be deployed together with others.
type Movement struct {
	Desired servicedef.Service
	Release fleet.Release
}

// Handover is what a component of one service takes from one of another service, as
// "shop/web": a port, a volume or an endpoint of the edges.
type Handover struct {
	From, To string
	Thing    string
	// Giver and Taker are the services.
	Giver, Taker string
	// Claim is set for an endpoint, which is free when the giver is released; a port and a
	// volume are when its old container has gone.
	Claim bool
}

func (h Handover) String() string { return fmt.Sprintf("%s takes %s from %s", h.To, h.Thing, h.From) }

// Between finds what the services take from one another.
func Between(services []Movement) []Handover {
	var found []Handover
	for _, taker := range services {
		for _, giver := range services {
			if giver.Desired.Name == taker.Desired.Name {
				continue
			}
			if taker.Desired.Active {
				found = append(found, between(taker, giver)...)
			}
			found = append(found, claimsBetween(taker, giver)...)
		}
	}
	return found
}

func between(taker, giver Movement) []Handover {
	var found []Handover
	for _, c := range taker.Desired.Components {
		for _, m := range giver.Release.Members() {
			for _, thing := range plan.Handed(c, taker.Release, m.Component, giver.Release, giver.Desired) {
				found = append(found, Handover{
					From: giver.Desired.Name + "/" + m.Component, To: taker.Desired.Name + "/" + c.Name, Thing: thing,
					Giver: giver.Desired.Name, Taker: taker.Desired.Name,
				})
			}
		}
	}
	return found
}

// claimsBetween finds the endpoints that a service takes from the release of another one,
// which gives them up. The one that takes them can claim them when the other one is
// released; between the two, edges serve neither.
func claimsBetween(taker, giver Movement) []Handover {
	if giver.Release.Definition == nil {
		return nil
	}
	var found []Handover
	kept := publication.Endpoints(giver.Desired)
	for _, held := range publication.Claimants(*giver.Release.Definition) {
		if slices.ContainsFunc(kept, held.Endpoint.Collides) {
			continue
		}
		for _, wanted := range publication.Claimants(taker.Desired) {
			if wanted.Endpoint.Collides(held.Endpoint) {
				found = append(found, Handover{
					From: giver.Desired.Name + "/" + held.Component, To: taker.Desired.Name + "/" + wanted.Component,
					Thing: wanted.Endpoint.String(), Giver: giver.Desired.Name, Taker: taker.Desired.Name, Claim: true,
				})
			}
		}
	}
	return found
}

// CycleError reports that services take something from one another in a circle, so
// that none of them can be deployed first.
type CycleError struct {
	Handovers []Handover
}

func (e *CycleError) Error() string {
	var texts []string
	for _, h := range e.Handovers {
		texts = append(texts, h.String())
	}
	return "no service can be deployed first: " + strings.Join(texts, ", and ")
}

// InTurn returns the services in groups, each of which takes things only from services
// of the groups before it. Its only error is a *CycleError.
func InTurn(services []string, handovers []Handover) ([][]string, error) {
	var groups [][]string
	left := slices.Clone(services)
	for len(left) > 0 {
		waits := func(service string) bool {
			return slices.ContainsFunc(handovers, func(h Handover) bool { return h.Taker == service && slices.Contains(left, h.Giver) })
		}
		var group, rest []string
		for _, service := range left {
			if waits(service) {
				rest = append(rest, service)
			} else {
				group = append(group, service)
			}
		}
		if len(group) == 0 {
			return nil, &CycleError{Handovers: slices.DeleteFunc(slices.Clone(handovers), func(h Handover) bool {
				return !slices.Contains(left, h.Taker) || !slices.Contains(left, h.Giver)
			})}
		}
		groups, left = append(groups, group), rest
	}
	return groups, nil
}
