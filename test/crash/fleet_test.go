package crash

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fleetSize is how many services are deployed at once.
const fleetSize = 20

// storm is what fails while they are: each in its turn, a while after the one
// before has begun, so that some of it happens at once.
var storm = []struct {
	who, home string
	how       failure
}{
	{theNodeWorker, "", killed("killed", 2*time.Second)},
	{theImageRegistry, "", ill("answers 503", (*front).refuse)},
	{theTemporal, "", killed("killed", 2*time.Second)},
	{theNetwork, "vega", cutOff("cut", 10*time.Second)},
	{theControlWorker, "", killed("killed", 2*time.Second)},
	{thePodman, "", killed("killed", 2*time.Second)},
	{thePostgres, "", killed("killed", 2*time.Second)},
	{workerOf("orion"), "", retirement},
	{theBuildersPodman, "", killed("killed", 2*time.Second)},
	{theBuilder, "", killed("killed", 2*time.Second)},
}

const (
	betweenStrikes = 3 * time.Second
	// fleetPatience is how long so many deploys may take on two cores.
	fleetPatience = 8 * time.Minute
)

func TestAFleetDeployedAtOnce(t *testing.T) {
	hall := newHall(t, 1, len(nodeNames))
	fleet := hall.fleet()
	for _, p := range fleet {
		t.Run(p.service+" "+p.story.name, func(t *testing.T) {
			t.Log(p.verdict, p.cause)
			if p.verdict == wrong {
				t.Error(p.err)
			}
		})
	}
	if *report != "" {
		require.NoError(t, appendTo(*report, fleetReport(fleet)))
	}
}

// fleet deploys services of every story at once, on all nodes, while one part
// after the other fails.
func (h *hall) fleet() []*play {
	r := h.rigs[0]
	fleet := make([]*play, fleetSize)
	for i := range fleet {
		s := stories[i%len(stories)]
		s.cancel = false // there is no rehearsal to tell when
		fleet[i] = &play{rig: r, story: s, who: "somebody", home: nodeNames[i%len(nodeNames)]}
	}
	each(fleet, func(p *play) { p.err = p.prepare() })
	for _, p := range fleet {
		require.NoError(h.t, p.err, "%s %s", p.service, p.story.name)
	}
	over := make(chan error)
	go func() { over <- r.storm() }()
	each(fleet, (*play).weather)
	require.NoError(h.t, <-over)
	each(fleet, (*play).conclude)
	each(fleet, (*play).clean)
	return fleet
}

// each does something with all plays at once.
func each(plays []*play, do func(*play)) {
	var group sync.WaitGroup
	for _, p := range plays {
		group.Add(1)
		go func() {
			defer group.Done()
			do(p)
		}()
	}
	group.Wait()
}

// storm lets one part after the other fail, and returns when all are back.
func (r *rig) storm() error {
	var struck []*play
	for _, s := range storm {
		time.Sleep(betweenStrikes)
		p := &play{rig: r, who: s.who, home: s.home, how: s.how, back: make(chan error, 1)}
		p.strike()
		struck = append(struck, p)
	}
	for _, p := range struck {
		if err := <-p.back; err != nil {
			return fmt.Errorf("%s %s: %w", p.who, p.how.name, err)
		}
	}
	return nil
}

// weather plays the story through the storm.
func (p *play) weather() {
	if p.story.steady {
		p.visitor = p.newVisitor(100 * time.Millisecond)
	}
	p.err = p.begin()
	if p.err == nil {
		p.err = p.settle(fleetPatience)
	}
}

// conclude judges the play when the storm is over.
func (p *play) conclude() {
	defer p.end()
	p.findings(p.err)
}

func fleetReport(fleet []*play) string {
	var b strings.Builder
	all := tally{}
	for _, p := range fleet {
		all[p.verdict]++
	}
	fmt.Fprintf(&b, "\n## A fleet at once\n\n%d services of every story were deployed at once on %d nodes, while these failed one after the other, %s apart:\n\n",
		len(fleet), len(nodeNames), betweenStrikes)
	for _, s := range storm {
		fmt.Fprintf(&b, "- %s %s\n", s.who, s.how.name)
	}
	fmt.Fprintf(&b, "\n%d finished, %d were put back, %d were wrong.\n", all[finished], all[putBack], all[wrong])
	return b.String()
}

func appendTo(file, text string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}
