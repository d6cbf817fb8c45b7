package crash

import (
	"context"
	"errors"
	"slices"
	"time"
)

// failure is how a target fails: inject begins it, and repair ends it when away has
// passed.
type failure struct {
	name   string
	away   time.Duration
	inject func(fc *faultCase) error
	repair func(ctx context.Context, fc *faultCase) error
	// gentle promises that no deploy has to be undone for it.
	gentle bool
}

// dirtying is how long a node must be away for an undo to give up and leave the
// rest to Mend.
const dirtying = 2 * time.Minute

// lasting reports whether an undo may have given up.
func (f failure) lasting() bool { return f.away > dirtying }

// processFaults are the ways in which every process fails.
var processFaults = []failure{
	killed("killed, back after 2 s", 2*time.Second),
	killed("killed, back after 60 s", time.Minute),
	frozen("stopped for 20 s", 20*time.Second),
}

// gracefulStop is the end of a worker by SIGTERM: its activities end first, or are
// handed over.
var gracefulStop = failure{
	name: "asked to end, back after 2 s", away: 2 * time.Second, gentle: true,
	inject: func(fc *faultCase) error { return fc.each(func(p *part) error { p.ask(); return nil }) },
	repair: func(ctx context.Context, fc *faultCase) error {
		return fc.each(func(p *part) error { return p.again(ctx) })
	},
}

// registryFaults are those of an image registry, beside processFaults.
var registryFaults = []failure{
	registryFault("answers 503 for 20 s", (*registryProxy).refuse),
	registryFault("hangs for 20 s", (*registryProxy).hang),
	registryFault("cuts connections mid-blob for 20 s", (*registryProxy).cutBlobs),
}

// networkFaults are those of a node's network.
var networkFaults = []failure{cutOff("cut for 20 s", 20*time.Second), cutOff("cut for 60 s", time.Minute)}

// reboot ends all processes of a node, and starts it again.
var reboot = failure{
	name: "reboots within 5 s", away: 5 * time.Second,
	inject: func(fc *faultCase) error { return fc.rig.node(fc.node).powerOff(fc.rig) },
	repair: func(ctx context.Context, fc *faultCase) error { return fc.rig.node(fc.node).powerOn(ctx, fc.rig) },
}

// failures are the ways in which a target can fail.
func failures(target string) []failure {
	switch target {
	case theControlWorker, theNodeWorker, theBuilder:
		return append(slices.Clone(processFaults), gracefulStop)
	case theEdge:
		return slices.Concat(processFaults, []failure{gracefulStop}, edgeFaults)
	case theImageRegistry:
		return append(slices.Clone(processFaults), registryFaults...)
	case theNetwork:
		return networkFaults
	case theNode:
		return []failure{reboot}
	case theGateway:
		return oneOfTwo(slices.Concat(processFaults, []failure{gracefulStop}, gatewayFaults))
	case theGateways:
		return slices.Concat(processFaults, gatewayFaults, []failure{replaced})
	case theCertificate:
		return certificateFaults
	}
	return processFaults
}

func killed(name string, away time.Duration) failure {
	return failure{
		name: name, away: away,
		inject: func(fc *faultCase) error { return fc.each(func(p *part) error { p.kill(); return nil }) },
		repair: func(ctx context.Context, fc *faultCase) error {
			return fc.each(func(p *part) error { return p.up(ctx) })
		},
	}
}

func frozen(name string, away time.Duration) failure {
	return failure{
		name: name, away: away,
		inject: func(fc *faultCase) error { return fc.each(func(p *part) error { p.freeze(); return nil }) },
		repair: func(_ context.Context, fc *faultCase) error {
			return fc.each(func(p *part) error { p.thaw(); return nil })
		},
	}
}

func registryFault(name string, fall func(*registryProxy) error) failure {
	return failure{
		name: name, away: 20 * time.Second,
		inject: func(fc *faultCase) error { return fall(fc.rig.registryProxy) },
		repair: func(_ context.Context, fc *faultCase) error { fc.rig.registryProxy.repair(); return nil },
	}
}

func cutOff(name string, away time.Duration) failure {
	return failure{
		name: name, away: away,
		inject: func(fc *faultCase) error { return fc.rig.node(fc.node).cut() },
		repair: func(_ context.Context, fc *faultCase) error { return fc.rig.node(fc.node).plug() },
	}
}

// each calls do with every process that fails.
func (fc *faultCase) each(do func(*part) error) error {
	switch fc.target {
	case theCLI:
		return do(fc.cli)
	case theGateways:
		var problems []error
		for _, name := range gatewayParts {
			problems = append(problems, do(fc.rig.parts[name]))
		}
		return errors.Join(problems...)
	}
	return do(fc.rig.parts[fc.target])
}

// inject lets the target fail, once, and has it come back. A command line that has
// ended cannot fail.
func (fc *faultCase) inject() {
	fc.injected.Do(func() {
		if fc.target == theCLI && fc.cli.ended() {
			fc.back <- nil
			return
		}
		if err := fc.how.inject(fc); err != nil {
			fc.back <- err
			return
		}
		time.AfterFunc(fc.how.away, func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			fc.back <- fc.how.repair(ctx, fc)
		})
	})
}
