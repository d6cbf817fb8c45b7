package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// tally counts verdicts.
type tally map[verdict]int

func (t tally) tried() int { return t[finished] + t[putBack] + t[wrong] }

// reliability is the report: what was tried, and how it ended.
func reliability(matrix, played []*play, took time.Duration) string {
	var b strings.Builder
	all := tally{}
	groups := []struct {
		title string
		of    func(*play) string
	}{
		{"Story", func(p *play) string { return p.story.name }},
		{"Who failed", func(p *play) string { return p.who }},
		{"How", func(p *play) string { return p.how.name }},
		{"Where", func(p *play) string { return p.at.where }},
	}
	for _, p := range played {
		all[p.verdict]++
	}
	fmt.Fprintf(&b, head, all.tried(), len(matrix), took.Round(time.Minute), all[finished], all[putBack], all[wrong])
	for _, g := range groups {
		table(&b, g.title, played, g.of)
	}
	list(&b, "Wrong", played, func(p *play) (bool, string) {
		return p.verdict == wrong, fmt.Sprint(p.err)
	})
	list(&b, "Put back, though the new version was good", played, func(p *play) (bool, string) {
		return p.verdict == putBack && p.story.ends == finished, p.cause
	})
	return b.String()
}

// table counts the verdicts of each group of cases.
func table(b *strings.Builder, title string, played []*play, of func(*play) string) {
	fmt.Fprintf(b, "\n| %s | tried | finished | put back | wrong |\n| --- | ---: | ---: | ---: | ---: |\n", title)
	groups := map[string]tally{}
	for _, p := range played {
		if groups[of(p)] == nil {
			groups[of(p)] = tally{}
		}
		groups[of(p)][p.verdict]++
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		t := groups[name]
		fmt.Fprintf(b, "| %s | %d | %d | %d | %d |\n", name, t.tried(), t[finished], t[putBack], t[wrong])
	}
}

// list names the cases that deserve a look, and why.
func list(b *strings.Builder, title string, cases []*play, which func(*play) (bool, string)) {
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

Written by ` + "`make crash`" + `. Each case is one real deploy, on real podman, Postgres,
Temporal and image registry, every part and every role of mcp a process of its
own, in which one of them fails at one point: before, inside or after one
activity. Afterwards a checker asks podman, Postgres and Temporal themselves.

- **finished**: the deploy did what it was asked to, as if nothing had failed.
- **put back**: the former release runs as before, and the deployment's row and
  the command line say that the deploy did not succeed. A new version that is
  unhealthy, and a deploy that is cancelled, end so in any case.
- **wrong**: anything else. A container too many or too few, of another release
  than the row says, or under a waiting name; a port that Postgres and podman do
  not agree on, or that nobody explains; a workflow that is open; an outcome that
  is not true; a client that met a closed door where start-first promises none;
  data in a volume that is lost, or had two owners.

One case that is wrong is known: a service has components on two nodes, and one
node reboots after its new container was healthy, when the other may have cut over
already. Such a deploy fails and is dirty, until a moment later what it left has
been put back. It should put that back by itself.

%d of the matrix's %d cases were played in %s: %d finished, %d put back, %d wrong.
The order of the matrix is shuffled, so that what is played is a fair sample of it.
`
