package crash

import (
	"context"
	"slices"
	"time"
)

// failure is how somebody fails: strike begins it, and heal ends it when away
// has passed.
type failure struct {
	name   string
	away   time.Duration
	strike func(p *play) error
	heal   func(ctx context.Context, p *play) error
	// gentle promises that nothing has to be put back for it.
	gentle bool
}

// dirtying is how long a node must be away for an undo to be given up and left
// to a Mend.
const dirtying = 2 * time.Minute

// lasting reports whether an undo may have been given up.
func (f failure) lasting() bool { return f.away > dirtying }

// deaths are the ways in which every process fails.
var deaths = []failure{
	killed("killed, back after 2 s", 2*time.Second),
	killed("killed, back after 60 s", time.Minute),
	{
		name: "stopped for 20 s", away: 20 * time.Second,
		strike: func(p *play) error { p.victim().freeze(); return nil },
		heal:   func(_ context.Context, p *play) error { p.victim().thaw(); return nil },
	},
}

// retirement is how a worker ends that is asked to: what it does comes to its
// end first, or is handed over.
var retirement = failure{
	name: "asked to end, back after 2 s", away: 2 * time.Second, gentle: true,
	strike: func(p *play) error { p.victim().ask(); return nil },
	heal:   func(ctx context.Context, p *play) error { return p.victim().again(ctx) },
}

// illnesses are what an image registry has beside deaths.
var illnesses = []failure{
	ill("answers 503 for 20 s", (*front).refuse),
	ill("hangs for 20 s", (*front).hang),
	ill("cuts connections mid-blob for 20 s", (*front).cutBlobs),
}

// cuts are what happens to a node's network.
var cuts = []failure{cutOff("cut for 20 s", 20*time.Second), cutOff("cut for 60 s", time.Minute)}

// reboot is what happens to a node as a whole: all that runs there ends.
var reboot = failure{
	name: "reboots within 5 s", away: 5 * time.Second,
	strike: func(p *play) error { return p.rig.node(p.home).powerOff(p.rig) },
	heal:   func(ctx context.Context, p *play) error { return p.rig.node(p.home).powerOn(ctx, p.rig) },
}

// failures are the ways in which each can fail.
func failures(who string) []failure {
	switch who {
	case theControlWorker, theNodeWorker, theBuilder:
		return append(slices.Clone(deaths), retirement)
	case theImageRegistry:
		return append(slices.Clone(deaths), illnesses...)
	case theNetwork:
		return cuts
	case theNode:
		return []failure{reboot}
	}
	return deaths
}

func killed(name string, away time.Duration) failure {
	return failure{
		name: name, away: away,
		strike: func(p *play) error { p.victim().kill(); return nil },
		heal:   func(ctx context.Context, p *play) error { return p.victim().up(ctx) },
	}
}

func ill(name string, fall func(*front) error) failure {
	return failure{
		name: name, away: 20 * time.Second,
		strike: func(p *play) error { return fall(p.rig.front) },
		heal:   func(_ context.Context, p *play) error { p.rig.front.heal(); return nil },
	}
}

func cutOff(name string, away time.Duration) failure {
	return failure{
		name: name, away: away,
		strike: func(p *play) error { return p.rig.node(p.home).cut() },
		heal:   func(_ context.Context, p *play) error { return p.rig.node(p.home).plug() },
	}
}

// victim is the process that fails.
func (p *play) victim() *part {
	if p.who == theCLI {
		return p.cli
	}
	return p.rig.parts[p.who]
}

// strike lets who fail, once, and has it come back. A command line that has
// ended cannot fail.
func (p *play) strike() {
	p.strikes.Do(func() {
		if p.who == theCLI && p.cli.ended() {
			p.back <- nil
			return
		}
		if err := p.how.strike(p); err != nil {
			p.back <- err
			return
		}
		time.AfterFunc(p.how.away, func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			p.back <- p.how.heal(ctx, p)
		})
	})
}
