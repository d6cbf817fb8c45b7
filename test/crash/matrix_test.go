package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// sample is what `make test` plays: everybody fails, in every story, at points
// where there is something to lose.
var sample = []string{
	"cancel in mid-deploy: the node's network cut for 3 min inside RunContainer",
	"new version, start-first: node worker stopped for 20 s inside RunContainer",
	"new version, start-first: control worker killed, back after 2 s after CommitRelease",
	"new version, start-first: Temporal killed, back after 2 s inside CutOver",
	"new version, start-first: CLI killed, back after 2 s after CutOver",
	"new version, start-first: Postgres killed, back after 2 s before CommitRelease",
	"first deploy with build and push: builder killed, back after 2 s inside Build",
	"first deploy with build and push: image registry killed, back after 2 s inside Push",
	"new version, stop-first, with a volume: node worker killed, back after 2 s after StopContainer",
	"new version, stop-first, with a volume: podman's service killed, back after 2 s inside RunContainer",
	"two components with depends_on: podman's service killed, back after 2 s inside CutOver",
	"unhealthy new version: node worker killed, back after 2 s before Restore",
	"unhealthy new version: the node reboots within 5 s inside RunContainer",
	"new version, stop-first, with a volume: the node reboots within 5 s after CutOver",
	"undeploy: node worker killed, back after 2 s inside Retire",
	"stop: node worker killed, back after 2 s inside StopContainer",
	"start: podman's service killed, back after 2 s inside RunContainer 2",
	"restart: control worker killed, back after 2 s inside CutOver",
	"restart, stop-first, with a volume: node worker killed, back after 2 s inside RunContainer",
	"active = false: Postgres killed, back after 2 s after StopContainer",
	"rollback: Temporal killed, back after 2 s inside RunContainer",
	"adopt: Temporal killed, back after 2 s before FinishDeployment",
	"new version of what was adopted: node worker killed, back after 2 s inside Retire",
	"purge: control worker killed, back after 2 s after Purge 2",
	"cancel in mid-deploy: node worker killed, back after 2 s inside RunContainer",
	"new version, start-first: node worker asked to end, back after 2 s inside RunContainer",
	"two components on two nodes: the node's network cut for 20 s inside CutOver",
	"first deploy with build and push: image registry cuts connections mid-blob for 20 s before Push",
}

// lengthy are cases that would take too long in every place of the matrix: an
// image registry that is away for 10 minutes fails no deploy whose deadline is
// 30, and a node that stays away makes a service dirty, until it is back.
var lengthy = []struct {
	story, who string
	how        failure
	at         point
}{
	{"first deploy with build and push", theImageRegistry, killed("killed, back after 10 min", 10*time.Minute), point{"Push", 1, before}},
	{"cancel in mid-deploy", theNetwork, cutOff("cut for 3 min", 3*time.Minute), point{"RunContainer", 1, inside}},
	{"unhealthy new version, stop-first, with a volume", theNetwork, cutOff("cut for 4 min", 4*time.Minute), point{"Restore", 1, before}},
	{"new version, start-first", theNetwork, cutOff("cut for 4 min", 4*time.Minute), point{"CutOver", 1, after}},
	{"two components on two nodes", theNetwork, cutOff("cut for 4 min", 4*time.Minute), point{"CutOver", 1, before}},
}

// lengthyCases are those of the stories that were rehearsed.
func lengthyCases(rehearsed []*play) []*play {
	var cases []*play
	for _, l := range lengthy {
		for _, calm := range rehearsed {
			if calm.story.name == l.story {
				cases = append(cases, &play{story: calm.story, who: l.who, how: l.how, at: l.at, lasts: calm.lasts})
			}
		}
	}
	return cases
}

// failing are the cases of the matrix that a play without a fault leads to.
func (p *play) failing() []*play {
	var cases []*play
	for _, at := range p.seen {
		for _, who := range everybody {
			for _, f := range failures(who) {
				cases = append(cases, &play{story: p.story, who: who, how: f, at: at, lasts: p.lasts})
			}
		}
	}
	return cases
}

// shuffle orders the matrix, always in the same way, so that each beginning
// of it is a fair sample.
func shuffle(matrix []*play) {
	order := rand.New(rand.NewPCG(3, 1))
	order.Shuffle(len(matrix), func(i, j int) { matrix[i], matrix[j] = matrix[j], matrix[i] })
}

// name says what the case is.
func (p *play) name() string {
	if p.who == "" {
		return p.story.name + ": nothing fails"
	}
	return fmt.Sprintf("%s: %s %s %s", p.story.name, p.who, p.how.name, p.at)
}

// perform plays the case on a rig, and judges it.
func (p *play) perform(r *rig) {
	p.rig = r
	if p.err = p.prepare(); p.err != nil {
		p.verdict = wrong
		return
	}
	defer p.clean()
	if p.story.steady {
		p.visitor = p.newVisitor(5 * time.Millisecond)
	}
	p.findings(p.run())
}

// findings judges the play when it has ended; problem is what has kept it from
// ending as it should.
func (p *play) findings(problem error) {
	problems := []error{problem, p.mended()}
	v, err := p.judge()
	problems = append(problems, err)
	if p.how.gentle && v != p.story.ends {
		problems = append(problems, fmt.Errorf("the deploy was %s: %s", v, p.cause))
	}
	if p.visitor != nil {
		problems = append(problems, p.visitor.end())
	}
	p.verdict, p.err = v, errors.Join(problems...)
	if p.err != nil {
		p.verdict = wrong
	}
}
