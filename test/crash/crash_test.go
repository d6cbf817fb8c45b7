// Package crash tests the promise that nothing is ever half-deployed: it kills or
// stops each process, at each point of each kind of deploy, and checks the state of
// podman, Postgres and Temporal afterwards.
//
// A scenario is one kind of deploy. A rig is an installation to run it on, in which
// each part is a process of its own. A target is what fails, a point is when: before,
// inside or after an activity. A faultCase is one scenario with one failure of one
// target at one point; all of them are the matrix. The baseline of a scenario is its
// run without a failure, which finds the points. A verdict is how a case ended.
package crash

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/test/crash/announce"
)

var (
	full   = flag.Bool("full", false, "run the whole matrix, in an order that makes each beginning of it a fair sample")
	budget = flag.Duration("for", time.Hour, "start no case after this time")
	only   = flag.String("case", "", "run the cases of the whole matrix whose names match")
	rigs   = flag.Int("rigs", 3, "how many installations run cases side by side; most of a case's time is waiting")
	report = flag.String("report", "", "the file to write the results to, as Markdown")
)

func TestMain(m *testing.M) {
	if socket := os.Getenv(announce.Variable); socket != "" {
		os.Exit(beMcp(socket))
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // rigs bound what runs at once
		panic(err)
	}
	code := m.Run()
	if err := errors.Join(pool.close(), results.write(*report)); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		code = 1
	}
	os.Exit(code)
}

func TestNothingIsEverHalfDeployed(t *testing.T) {
	t.Parallel()
	matrix, baselines := runBaselines(t)
	cases := choose(t, matrix)
	started := time.Now()
	interrupted, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	done := runAll(cases, func() bool { return interrupted.Err() != nil || time.Since(started) > *budget })
	for _, r := range slices.Concat(baselines, done) {
		t.Run(strings.ReplaceAll(r.name(), "/", " "), func(t *testing.T) {
			if r.verdict == wrong {
				t.Error(r.err)
			}
		})
	}
	results.matrix = reliability(matrix, done, time.Since(started))
}

// choose picks the cases to run.
func choose(t *testing.T, matrix []*faultCase) []*faultCase {
	if *full {
		return matrix
	}
	byName := map[string]*faultCase{}
	for _, c := range matrix {
		byName[c.name()] = c
	}
	var chosen []*faultCase
	if *only != "" {
		wanted, err := regexp.Compile(*only)
		require.NoError(t, err)
		for _, c := range matrix {
			if wanted.MatchString(c.name()) {
				chosen = append(chosen, c)
			}
		}
		return chosen
	}
	for _, name := range sample {
		require.Contains(t, byName, name, "the sample names a case of the matrix")
		chosen = append(chosen, byName[name])
	}
	return chosen
}
