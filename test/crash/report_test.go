package crash

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// tally counts verdicts.
type tally map[verdict]int

func (t tally) tried() int { return t[finished] + t[putBack] + t[wrong] }

// reliability is the report of the matrix.
func reliability(matrix, done []*faultCase, took time.Duration) string {
	var b strings.Builder
	all := tally{}
	groups := []struct {
		title string
		of    func(*faultCase) string
	}{
		{"Scenario", func(fc *faultCase) string { return fc.scenario.name }},
		{"What failed", func(fc *faultCase) string { return fc.target }},
		{"How", func(fc *faultCase) string { return fc.how.name }},
		{"Where", func(fc *faultCase) string { return fc.at.where }},
	}
	for _, fc := range done {
		all[fc.verdict]++
	}
	fmt.Fprintf(&b, head, all.tried(), len(matrix), took.Round(time.Minute), all[finished], all[putBack], all[wrong])
	b.WriteString(hangReport(matrix, done))
	for _, g := range groups {
		table(&b, g.title, done, g.of)
	}
	list(&b, "Wrong", done, func(fc *faultCase) (bool, string) {
		return fc.verdict == wrong, fmt.Sprint(fc.err)
	})
	list(&b, "Put back, though the new version was good", done, func(fc *faultCase) (bool, string) {
		return fc.verdict == putBack && fc.scenario.want == finished, fc.cause
	})
	return b.String()
}

// table counts the verdicts of each group of cases.
func table(b *strings.Builder, title string, done []*faultCase, of func(*faultCase) string) {
	fmt.Fprintf(b, "\n| %s | tried | finished | put back | wrong |\n| --- | ---: | ---: | ---: | ---: |\n", title)
	groups := map[string]tally{}
	for _, fc := range done {
		if groups[of(fc)] == nil {
			groups[of(fc)] = tally{}
		}
		groups[of(fc)][fc.verdict]++
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		t := groups[name]
		fmt.Fprintf(b, "| %s | %d | %d | %d | %d |\n", name, t.tried(), t[finished], t[putBack], t[wrong])
	}
}

// list names the cases for which which returns true, and why.
func list(b *strings.Builder, title string, cases []*faultCase, which func(*faultCase) (bool, string)) {
	for _, c := range cases {
		listed, why := which(c)
		if !listed {
			continue
		}
		if title != "" {
			fmt.Fprintf(b, "\n## %s\n\n", title)
			title = ""
		}
		fmt.Fprintf(b, "- %s: %s\n", c.name(), strings.ReplaceAll(why, "\n", "; "))
	}
}

const head = `# Reliability

Written by ` + "`make crash`" + `. Each case is one deploy on real podman, Postgres, Temporal
behind two gateways, and image registry, every part and every role of mcp a process of its
own, in which one of them fails at one point: before, inside or after one activity, or in
one call to an engine, which is never answered.
Afterwards a checker reads the state of podman, Postgres and Temporal.

- **finished**: the deploy succeeded, as if nothing had failed.
- **put back**: the former release runs as before, and the deployment's row and
  the exit code of the command line say that the deploy did not succeed. A new
  version that is unhealthy, and a deploy that is cancelled, always end so.
- **wrong**: anything else. A container too many or too few, of another release
  than the row says, or under a temporary name; a port that Postgres and podman do
  not agree on, or that no release holds; a workflow that is open; an outcome that
  is not true; a request that failed where start-first promises none; data in a
  volume that is lost, or had two owners.

%d of the matrix's %d cases were run in %s: %d finished, %d put back, %d wrong.
The order of the matrix is shuffled, so that any beginning of it is a fair sample.
`

// results are the sections of the report, by the test that writes them.
var results sections

type sections struct{ matrix, fleet string }

// write writes the report; "" for no file.
func (s sections) write(file string) error {
	if file == "" {
		return nil
	}
	return os.WriteFile(file, []byte(s.matrix+s.fleet), 0o644)
}
