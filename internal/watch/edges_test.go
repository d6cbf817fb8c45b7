package watch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/watch"
)

var edgeSeen = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// answered is an observation of an edge that serves version 5 of the shop's routes.
func answered(certificates ...fleet.Certificate) fleet.EdgeEvidence {
	return fleet.EdgeEvidence{
		Observation: fleet.EdgeObservation{
			Edge: "edge1", At: edgeSeen,
			Status: &fleet.EdgeStatus{Versions: map[string]int64{"shop": 5}, Certificates: certificates},
		},
		Seen:   edgeSeen,
		Wanted: []fleet.WantedVersion{{Service: "shop", Version: 5, Age: time.Hour, Acknowledged: 5}},
	}
}

// silent is one of an edge that has not answered for so long.
func silent(away time.Duration) fleet.EdgeEvidence {
	e := answered()
	e.Observation.Status, e.Observation.Problem, e.Seen = nil, "nothing polls edge-edge1", edgeSeen.Add(-away)
	return e
}

func opened(kind fleet.DriftKind, service, hostname string) fleet.OpenDrift {
	return fleet.OpenDrift{Drift: fleet.Drift{Kind: kind, Service: service, Hostname: hostname, Detail: "as before"}, Since: edgeSeen.Add(-time.Hour)}
}

func TestAssessEdge(t *testing.T) {
	newer := func(e fleet.EdgeEvidence, age time.Duration) fleet.EdgeEvidence {
		e.Wanted[0].Version, e.Wanted[0].Age = 6, age
		return e
	}
	with := func(e fleet.EdgeEvidence, open ...fleet.OpenDrift) fleet.EdgeEvidence {
		e.Open = open
		return e
	}
	failed := fleet.Certificate{Hostname: "shop.example", Problem: "DNS problem: NXDOMAIN"}
	obtained := fleet.Certificate{Hostname: "shop.example", Issuer: "R3"}
	stale, certificate := opened(fleet.DriftStaleEdge, "shop", ""), opened(fleet.DriftCertificate, "", "shop.example")
	away := opened(fleet.DriftUnreachable, "", "")
	tests := map[string]struct {
		evidence fleet.EdgeEvidence
		events   []string
		open     []fleet.DriftKind
		missing  []string
		remake   []string
	}{
		"it has everything":           {evidence: answered()},
		"a publication is on its way": {evidence: newer(answered(), time.Second)},
		"it lacks one": {
			evidence: newer(answered(), time.Minute), missing: []string{"shop"}, open: []fleet.DriftKind{fleet.DriftStaleEdge},
			events: []string{"edge edge1: shop: stale-edge: it has not acknowledged the newest routes"},
		},
		"it lacks one still":                   {evidence: with(newer(answered(), time.Second), stale), missing: []string{"shop"}, open: []fleet.DriftKind{fleet.DriftStaleEdge}},
		"it has caught up":                     {evidence: with(answered(), stale), events: []string{"edge edge1: shop: stale-edge: over, after 1h0m0s"}},
		"it is being restarted":                {evidence: silent(time.Second)},
		"it is away":                           {evidence: silent(time.Minute), open: []fleet.DriftKind{fleet.DriftUnreachable}, events: []string{"edge edge1: unreachable: nothing polls edge-edge1"}},
		"it is away still":                     {evidence: with(silent(time.Hour), away), open: []fleet.DriftKind{fleet.DriftUnreachable}},
		"it is back":                           {evidence: with(answered(), away), events: []string{"edge edge1: back: over, after 1h0m0s"}},
		"it is away and lacks one":             {evidence: newer(silent(time.Second), time.Minute), open: []fleet.DriftKind{fleet.DriftStaleEdge}, events: []string{"edge edge1: shop: stale-edge: it has not acknowledged the newest routes"}},
		"it is away, and what failed may last": {evidence: with(silent(time.Second), certificate), open: []fleet.DriftKind{fleet.DriftCertificate}},
		"a certificate fails": {
			evidence: answered(failed, failed), open: []fleet.DriftKind{fleet.DriftCertificate},
			events: []string{"edge edge1: shop.example: certificate-failed: DNS problem: NXDOMAIN"},
		},
		"it fails again":                   {evidence: with(answered(failed), certificate), open: []fleet.DriftKind{fleet.DriftCertificate}},
		"it is obtained":                   {evidence: with(answered(obtained), certificate), events: []string{"edge edge1: shop.example: certificate-failed: over, after 1h0m0s"}},
		"its hostname goes":                {evidence: with(answered(), certificate), events: []string{"edge edge1: shop.example: certificate-failed: over, after 1h0m0s"}},
		"the registry was restored":        {evidence: func() fleet.EdgeEvidence { e := answered(); e.Wanted[0].Version = 4; return e }(), remake: []string{"shop"}},
		"the registry was emptied":         {evidence: func() fleet.EdgeEvidence { e := answered(); e.Wanted = nil; return e }()},
		"a deployment ended in the middle": {evidence: func() fleet.EdgeEvidence { e := answered(); e.Wanted[0].Interim = true; return e }(), remake: []string{"shop"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found := watch.AssessEdge(test.evidence)
			var events []string
			for _, e := range found.Events {
				events = append(events, e.Line())
				require.Equal(t, edgeSeen, e.At)
			}
			var open []fleet.DriftKind
			for _, d := range found.Open {
				open = append(open, d.Kind)
			}
			require.Equal(t, test.events, events)
			require.Equal(t, test.open, open)
			require.Equal(t, test.missing, found.Missing)
			require.Equal(t, test.remake, found.Remake)
		})
	}
}

func TestAnUnreachableEdgeIsAwaySinceItWasSeen(t *testing.T) {
	found := watch.AssessEdge(silent(time.Minute))
	require.Equal(t, edgeSeen.Add(-time.Minute), found.Events[0].Since)
}

func TestAnEdgeWithForgedVersionsCostsLittle(t *testing.T) {
	e := answered()
	for i := range 5000 {
		service := fmt.Sprint("s", i)
		e.Observation.Status.Versions[service] = 9
		e.Wanted = append(e.Wanted, fleet.WantedVersion{Service: service, Version: 1})
	}
	require.Len(t, watch.AssessEdge(e).Remake, 100)
}

func TestAMissedPublicationIsAnEvent(t *testing.T) {
	events := watch.StaleEdges([]fleet.EdgeMiss{{Edge: "edge2", Service: "shop", Problem: "edge edge2 is away"}}, edgeSeen)
	require.Len(t, events, 1)
	require.Equal(t, "edge edge2: shop: stale-edge: it has not acknowledged the newest routes: edge edge2 is away", events[0].Line())
}
