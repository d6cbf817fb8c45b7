package crash

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// giveUp is how long a call that is never answered may take mcp, with the
	// scenarios' stop timeout of 2 s.
	giveUp = 40 * time.Second
	// wholeWithin is how long the service may take afterwards.
	wholeWithin = time.Minute
	// hangsOfKind is how many calls of one kind hang in the cases of a scenario: the
	// first ones.
	hangsOfKind = 2
)

// hangsForEver is a call to an engine that is never answered. All others are, so that no
// deploy has to be undone for it.
var hangsForEver = failure{name: "hangs for ever", gentle: true}

// engines are the targets that hang.
var engines = []string{thePodman, theBuildersPodman}

// watchEngines begins to count the calls to the engines, and lets the case's hang.
func (fc *faultCase) watchEngines() {
	for _, target := range engines {
		var h *hang
		if fc.target == target && fc.at.where == in {
			fc.hang = newHang(fc.at)
			h = fc.hang
		}
		fc.rig.nodeOf(target).proxy.watch(h)
	}
}

// awaitHang returns when the call hangs, or can no longer come. The target itself is
// not away.
func (fc *faultCase) awaitHang() {
	select {
	case <-fc.hang.begun:
	case <-fc.cli.now().Done():
	}
	fc.injected.Do(func() { fc.back <- nil })
}

// hung reports whether the case's call has come.
func (fc *faultCase) hung() bool {
	if fc.hang == nil {
		return false
	}
	select {
	case <-fc.hang.begun:
		return true
	default:
		return false
	}
}

// unwatchEngines records the calls of a baseline.
func (fc *faultCase) unwatchEngines() {
	for _, target := range engines {
		proxy := fc.rig.nodeOf(target).proxy
		if fc.target == "" {
			if fc.calls == nil {
				fc.calls = map[string][]point{}
			}
			fc.calls[target] = proxy.calls(hangsOfKind)
		}
		proxy.watch(nil)
	}
}

// judgeHang checks that the call was given up, and how long the service took to be whole
// again.
func (fc *faultCase) judgeHang(now time.Time) error {
	if !fc.hung() {
		return nil
	}
	select {
	case <-fc.hang.over:
	case <-time.After(giveUp):
		return fmt.Errorf("the call that hangs has not been given up within %s", time.Since(fc.hang.beganAt).Round(time.Second))
	}
	if waited := fc.hang.givenUpAt.Sub(fc.hang.beganAt); waited > giveUp {
		return fmt.Errorf("the call that hangs was given up after %s", waited.Round(time.Second))
	}
	fc.whole = max(0, now.Sub(fc.hang.givenUpAt))
	if fc.whole > wholeWithin {
		return fmt.Errorf("the service was whole %s after the call that hangs was given up", fc.whole.Round(time.Second))
	}
	return nil
}

// hanging are the cases in which each engine call of a baseline hangs.
func (fc *faultCase) hanging() []*faultCase {
	var cases []*faultCase
	for _, target := range engines {
		for _, at := range fc.calls[target] {
			cases = append(cases, &faultCase{scenario: fc.scenario, target: target, how: hangsForEver, at: at})
		}
	}
	return cases
}

// cover moves to the beginning the first cases with which each engine call of each
// engine, and each scenario, hangs once.
func cover(cases []*faultCase) (first, others []*faultCase) {
	covered := map[string]bool{}
	for _, fc := range cases {
		call, story := fc.target+" "+fc.at.activity, fc.scenario.name
		if covered[call] && covered[story] {
			others = append(others, fc)
			continue
		}
		covered[call], covered[story] = true, true
		first = append(first, fc)
	}
	return first, others
}

// hangReport counts the calls and the scenarios that have hung.
func hangReport(matrix, done []*faultCase) string {
	count := func(cases []*faultCase, counts func(*faultCase) bool) (calls, stories, pairs int) {
		seen := map[string]bool{}
		add := func(n *int, key string) {
			if !seen[key] {
				*n, seen[key] = *n+1, true
			}
		}
		for _, fc := range cases {
			if fc.at.where == in && counts(fc) {
				add(&calls, "call "+fc.target+" "+fc.at.activity)
				add(&stories, "story "+fc.scenario.name)
				add(&pairs, "pair "+fc.target+" "+fc.at.activity+" "+fc.scenario.name)
			}
		}
		return calls, stories, pairs
	}
	allCalls, allStories, allPairs := count(matrix, func(*faultCase) bool { return true })
	if allPairs == 0 {
		return ""
	}
	calls, stories, pairs := count(done, (*faultCase).hung)
	missed := map[string]bool{}
	for _, fc := range matrix {
		if fc.at.where == in {
			missed[fc.target+" "+fc.at.activity] = true
		}
	}
	var longest, whole time.Duration
	for _, fc := range done {
		if fc.hung() {
			delete(missed, fc.target+" "+fc.at.activity)
		}
		if fc.hung() && fc.verdict != wrong {
			longest, whole = max(longest, fc.hang.givenUpAt.Sub(fc.hang.beganAt)), max(whole, fc.whole)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nAn engine call that hangs for ever: %d of %d calls, %d of %d scenarios, %d of %d pairs of both. ",
		calls, allCalls, stories, allStories, pairs, allPairs)
	fmt.Fprintf(&b, "The longest was given up after %s, and the last service was whole %s later.\n", longest.Round(time.Second), whole.Round(time.Second))
	if len(missed) > 0 {
		fmt.Fprintf(&b, "Calls that hung in no case, because they did not come: %s.\n", strings.Join(slices.Sorted(maps.Keys(missed)), ", "))
	}
	return b.String()
}

func TestACallIsKnownByItsKind(t *testing.T) {
	for call, want := range map[string]string{
		"POST http://d/v5.0.0/libpod/containers/0f3a/start":                      "POST /containers/ID/start",
		"GET http://d/v5.0.0/libpod/containers/shop-api.next/json":               "GET /containers/ID/json",
		"GET http://d/v5.0.0/libpod/containers/json?all=true":                    "GET /containers/json",
		"DELETE http://d/v5.0.0/libpod/containers/0f3a?force=true":               "DELETE /containers/ID",
		"POST http://d/v5.0.0/libpod/images/10.0.0.1:5000%2Fshop%2Fapi:v1/push":  "POST /images/ID/push",
		"GET http://d/v5.0.0/libpod/images/10.0.0.1:5000%2Fapi@sha256:ab/exists": "GET /images/ID/exists",
		"POST http://d/v5.0.0/libpod/images/pull?reference=x":                    "POST /images/pull",
		"POST http://d/v5.0.0/libpod/build":                                      "POST /build",
		"GET http://d/v5.0.0/libpod/_ping":                                       "GET /_ping",
	} {
		method, url, _ := strings.Cut(call, " ")
		require.Equal(t, want, kindOfCall(httptest.NewRequest(method, url, nil)))
	}
}

func TestEachCallAndEachScenarioHangsFirst(t *testing.T) {
	start, stop := point{"POST start", 1, in}, point{"POST stop", 1, in}
	all := []*faultCase{
		{scenario: scenarios[0], target: thePodman, at: start},
		{scenario: scenarios[0], target: thePodman, at: point{"POST start", 2, in}},
		{scenario: scenarios[1], target: thePodman, at: start},
		{scenario: scenarios[0], target: thePodman, at: stop},
		{scenario: scenarios[1], target: thePodman, at: stop},
	}
	first, others := cover(all)
	require.Equal(t, []*faultCase{all[0], all[2], all[3]}, first)
	require.Equal(t, []*faultCase{all[1], all[4]}, others)
	require.Contains(t, hangReport(all, all[:1]), "0 of 2 calls, 0 of 2 scenarios, 0 of 4 pairs")
	all[0].hang = newHang(start)
	close(all[0].hang.begun)
	require.Contains(t, hangReport(all, all[:1]), "1 of 2 calls, 1 of 2 scenarios, 1 of 4 pairs")
}

func TestTheCheckerSeesACallThatIsNotGivenUp(t *testing.T) {
	began := time.Now().Add(-time.Hour)
	given := func(up, whole time.Duration) error {
		fc := &faultCase{hang: newHang(point{})}
		close(fc.hang.begun)
		close(fc.hang.over)
		fc.hang.beganAt, fc.hang.givenUpAt = began, began.Add(up)
		return fc.judgeHang(fc.hang.givenUpAt.Add(whole))
	}
	require.NoError(t, given(giveUp, wholeWithin))
	require.ErrorContains(t, given(giveUp+time.Second, 0), "given up after 41s")
	require.ErrorContains(t, given(0, wholeWithin+time.Second), "whole 1m1s after")
	require.NoError(t, (&faultCase{}).judgeHang(began))
}
