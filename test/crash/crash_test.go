// Package crash is the proof of the promise that nothing is ever half-deployed:
// it kills or stops each process, at each point of each kind of deploy, and
// looks at what podman, Postgres and Temporal then have.
package crash

import (
	"flag"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	full   = flag.Bool("full", false, "play the whole matrix, in an order that makes each beginning of it a fair sample")
	budget = flag.Duration("for", time.Hour, "begin no case after this time")
	only   = flag.String("case", "", "play the cases of the whole matrix whose names match")
	rigs   = flag.Int("rigs", 3, "how many installations play side by side; most of a case's time is waiting")
	report = flag.String("report", "", "the file to write what happened to, as Markdown")
)

func TestMain(m *testing.M) {
	if stage := os.Getenv(stageVariable); stage != "" {
		os.Exit(beMcp(stage))
	}
	os.Exit(m.Run())
}

func TestNothingIsEverHalfDeployed(t *testing.T) {
	hall := newHall(t, *rigs, 2)
	matrix, calm := hall.rehearse()
	cases := choose(t, matrix)
	started := time.Now()
	interrupted, stop := signal.NotifyContext(t.Context(), os.Interrupt)
	defer stop()
	played := hall.play(cases, func() bool { return interrupted.Err() != nil || time.Since(started) > *budget })
	for _, r := range slices.Concat(calm, played) {
		t.Run(strings.ReplaceAll(r.name(), "/", " "), func(t *testing.T) {
			if r.verdict == wrong {
				t.Error(r.err)
			}
		})
	}
	if *report != "" {
		require.NoError(t, os.WriteFile(*report, []byte(reliability(matrix, played, time.Since(started))), 0o644))
	}
}

// choose picks the cases to play.
func choose(t *testing.T, matrix []*play) []*play {
	if *full {
		return matrix
	}
	byName := map[string]*play{}
	for _, c := range matrix {
		byName[c.name()] = c
	}
	var chosen []*play
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
