package crash

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// fleetSize is how many services are deployed at once.
const fleetSize = 20

// fleetFaults are injected meanwhile, one after the other. Each begins a while after
// the one before, so that some of them overlap.
var fleetFaults = []struct {
	target, node string
	how          failure
}{
	{theNodeWorker, "", killed("killed", 2*time.Second)},
	{theImageRegistry, "", registryFault("answers 503", (*registryProxy).refuse)},
	{theTemporal, "", killed("killed", 2*time.Second)},
	{theGateway, "", killed("killed", 2*time.Second)},
	{theNetwork, "vega", cutOff("cut", 10*time.Second)},
	{theControlWorker, "", killed("killed", 2*time.Second)},
	{thePodman, "", killed("killed", 2*time.Second)},
	{thePostgres, "", killed("killed", 2*time.Second)},
	{workerOf("orion"), "", gracefulStop},
	{theBuildersPodman, "", killed("killed", 2*time.Second)},
	{theBuilder, "", killed("killed", 2*time.Second)},
}

const (
	betweenFaults = 3 * time.Second
	// prepareAtOnce is how many first versions are deployed at once, which no fault
	// excuses from success.
	prepareAtOnce = 4
	// fleetTimeout is how long so many deploys may take on two cores.
	fleetTimeout = 8 * time.Minute
)

func TestAFleetDeployedAtOnce(t *testing.T) {
	t.Parallel()
	fleet := pool.rig(t).deployFleet(t)
	for _, fc := range fleet {
		t.Run(fc.scenario.name, func(t *testing.T) {
			t.Log(fc.service, fc.verdict, fc.cause)
			if fc.verdict == wrong {
				t.Error(fc.err)
			}
		})
	}
	results.fleet = fleetReport(fleet)
}

// deployFleet deploys services of every scenario at once, on all nodes, while one
// part after the other fails.
func (r *rig) deployFleet(t *testing.T) []*faultCase {
	t.Helper()
	// What one scenario has the control plane lose would be lost to every service.
	shared := slices.DeleteFunc(slices.Clone(scenarios), func(s scenario) bool { return s.loses != nothing })
	fleet := make([]*faultCase, fleetSize)
	for i := range fleet {
		s := shared[i%len(shared)]
		s.cancel = false // no baseline says when
		fleet[i] = &faultCase{rig: r, scenario: s, target: "a part", node: nodeNames[i%len(nodeNames)]}
	}
	each(fleet, prepareAtOnce, func(fc *faultCase) { fc.err = fc.prepare() })
	for _, fc := range fleet {
		require.NoError(t, fc.err, "%s %s", fc.service, fc.scenario.name)
	}
	over := make(chan error)
	go func() { over <- r.injectFleetFaults() }()
	each(fleet, fleetSize, (*faultCase).runUnderFaults)
	require.NoError(t, <-over)
	each(fleet, fleetSize, (*faultCase).judgeLate)
	each(fleet, fleetSize, (*faultCase).clean)
	return fleet
}

// each calls do with every case, with so many at once.
func each(cases []*faultCase, atOnce int, do func(*faultCase)) {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, fc := range cases {
		group.Go(func() error {
			do(fc)
			return nil
		})
	}
	_ = group.Wait()
}

// injectFleetFaults lets one part after the other fail, and returns when all are
// back.
func (r *rig) injectFleetFaults() error {
	var injected []*faultCase
	for _, s := range fleetFaults {
		time.Sleep(betweenFaults)
		fc := &faultCase{rig: r, target: s.target, node: s.node, how: s.how, back: make(chan error, 1)}
		fc.inject()
		injected = append(injected, fc)
	}
	for _, fc := range injected {
		if err := <-fc.back; err != nil {
			return fmt.Errorf("%s %s: %w", fc.target, fc.how.name, err)
		}
	}
	return nil
}

// runUnderFaults runs the scenario while parts fail.
func (fc *faultCase) runUnderFaults() {
	if fc.scenario.steady {
		fc.prober = fc.newProber(100 * time.Millisecond)
	}
	fc.err = fc.begin()
	if fc.err == nil {
		fc.err = fc.settle(fleetTimeout)
	}
}

// judgeLate judges the case when all parts are back.
func (fc *faultCase) judgeLate() {
	defer fc.end()
	fc.findings(fc.err)
}

func fleetReport(fleet []*faultCase) string {
	var b strings.Builder
	all := tally{}
	for _, fc := range fleet {
		all[fc.verdict]++
	}
	fmt.Fprintf(&b, "\n## A fleet at once\n\n%d services of every scenario were deployed at once on %d nodes, while these failed one after the other, %s apart:\n\n",
		len(fleet), len(nodeNames), betweenFaults)
	for _, s := range fleetFaults {
		fmt.Fprintf(&b, "- %s %s\n", s.target, s.how.name)
	}
	fmt.Fprintf(&b, "\n%d finished, %d were put back, %d were wrong.\n", all[finished], all[putBack], all[wrong])
	return b.String()
}
