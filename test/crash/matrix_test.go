package crash

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// sample is what `make test` runs: each target fails, and each scenario is run, at
// points where there is something to lose.
var sample = []string{
	"cancel in mid-deploy: the node's network cut for 3 min inside RunContainer",
	"new version, start-first: the node's certificate ended, back after 20 s inside RunContainer",
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
	"start: one gateway of two killed, back after 2 s inside RunContainer 2",
	"restart: one gateway of two cut off from clients for 20 s inside CutOver",
	"restart, stop-first, with a volume: node worker killed, back after 2 s inside RunContainer",
	"active = false: one gateway of two stopped for 20 s after StopContainer",
	"rollback: both gateways killed, back after 2 s inside RunContainer",
	"adopt: Temporal killed, back after 2 s before FinishDeployment",
	"new version of what was adopted: node worker killed, back after 2 s inside Retire",
	"purge: control worker killed, back after 2 s after Purge 2",
	"new version, after the restore of an older dump: control worker killed, back after 2 s after Survey 2",
	"new version, after the registry was emptied: podman's service killed, back after 2 s after Survey 2",
	"new version, after Temporal was emptied: Postgres killed, back after 2 s after CutOver",
	"reconcile: podman's service killed, back after 2 s after RunContainer",
	"cancel in mid-deploy: node worker killed, back after 2 s inside RunContainer",
	"new version, while a job runs: node worker killed, back after 2 s inside RunContainer",
	"new version, start-first: node worker asked to end, back after 2 s inside RunContainer",
	"two components on two nodes: the node's network cut for 20 s inside CutOver",
	"two components on two nodes: the node reboots within 5 s before CutOver",
	"first deploy with build and push: image registry cuts connections mid-blob for 20 s before Push",
	"new version, start-first: podman's service hangs for ever in POST /containers/ID/start",
	"new version, start-first: the edge killed, back after 2 s inside CutOver",
	"new version, start-first: the edge killed, back after 2 s inside PublishRoutes",
	"new version, stop-first, with a volume: the edge killed, back after 2 s after PublishRoutes",
	"new version, stop-first, with a volume: the edge cut off for 20 s after StopContainer",
	"restart: the edge has a full disk for 20 s after CommitRelease",
}

// lengthy are cases that would take too long at every point of the matrix: an
// image registry that is away for 10 minutes fails no deploy whose deadline is
// 30, a node or an engine that stays away leaves a service dirty until it is back, and
// without any gateway no part hears of another.
var lengthy = []struct {
	scenario, target string
	how              failure
	at               point
}{
	{"first deploy with build and push", theImageRegistry, killed("killed, back after 10 min", 10*time.Minute), point{"Push", 1, before}},
	{"cancel in mid-deploy", theNetwork, cutOff("cut for 3 min", 3*time.Minute), point{"RunContainer", 1, inside}},
	{"new version, start-first", thePodman, frozen("stopped for 3 min", 3*time.Minute), point{"RunContainer", 1, inside}},
	{"unhealthy new version, stop-first, with a volume", thePodman, frozen("stopped for 4 min", 4*time.Minute), point{"Restore", 1, before}},
	{"unhealthy new version, stop-first, with a volume", theNetwork, cutOff("cut for 4 min", 4*time.Minute), point{"Restore", 1, before}},
	{"new version, start-first", theNetwork, cutOff("cut for 4 min", 4*time.Minute), point{"CutOver", 1, after}},
	{"new version, stop-first, with a volume", theGateways, killed("killed, back after 4 min", 4*time.Minute), point{"RunContainer", 1, before}},
	{"two components on two nodes", theNetwork, cutOff("cut for 4 min", 4*time.Minute), point{"CutOver", 1, before}},
}

// lengthyCases are those of the scenarios that have a baseline.
func lengthyCases(baselines []*faultCase) []*faultCase {
	var cases []*faultCase
	for _, l := range lengthy {
		for _, baseline := range baselines {
			if baseline.scenario.name == l.scenario {
				cases = append(cases, &faultCase{scenario: baseline.scenario, target: l.target, how: l.how, at: l.at, durations: baseline.durations})
			}
		}
	}
	return cases
}

// failing are the cases of the matrix that follow from a baseline's points.
func (fc *faultCase) failing() []*faultCase {
	var cases []*faultCase
	for _, at := range fc.seen {
		for _, target := range targets {
			for _, f := range failures(target) {
				cases = append(cases, &faultCase{scenario: fc.scenario, target: target, how: f, at: at, durations: fc.durations})
			}
		}
	}
	return cases
}

// shuffle orders the matrix, always in the same way, so that each beginning
// of it is a fair sample.
func shuffle(matrix []*faultCase) {
	order := rand.New(rand.NewPCG(3, 1))
	order.Shuffle(len(matrix), func(i, j int) { matrix[i], matrix[j] = matrix[j], matrix[i] })
}

// name describes the case.
func (fc *faultCase) name() string {
	if fc.target == "" {
		return fc.scenario.name + ": nothing fails"
	}
	return fmt.Sprintf("%s: %s %s %s", fc.scenario.name, fc.target, fc.how.name, fc.at)
}

// execute runs the case on a rig, and judges it.
func (fc *faultCase) execute(r *rig) {
	fc.rig = r
	if fc.err = fc.prepare(); fc.err != nil {
		fc.verdict = wrong
		return
	}
	defer fc.clean()
	if fc.scenario.steady {
		if fc.err = fc.watchOutside(); fc.err != nil {
			fc.verdict = wrong
			return
		}
		fc.prober = fc.newProber(20 * time.Millisecond)
	}
	fc.findings(fc.run())
}

// findings judges the case when it has ended; problem is what kept it from
// ending.
func (fc *faultCase) findings(problem error) {
	problems := []error{problem, fc.mended(), fc.judgeHang(time.Now())}
	v, err := fc.judge()
	problems = append(problems, err)
	if fc.how.gentle && v != fc.scenario.want {
		problems = append(problems, fmt.Errorf("the deploy was %s: %s", v, fc.cause))
	}
	problems = append(problems, fc.judgeOutside())
	if fc.prober != nil {
		problems = append(problems, fc.prober.end())
	}
	fc.verdict, fc.err = v, errors.Join(problems...)
	if fc.err != nil {
		fc.verdict = wrong
	}
}
