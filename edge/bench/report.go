package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The proxies, by their names in the report.
const (
	edge    = "mcp-edge"
	caddy   = "caddy"
	nginx   = "nginx"
	haproxy = "haproxy"
)

// samples are measurements of one thing, in one unit.
type samples []float64

// median returns the middle sample, or the mean of the two in the middle.
func (s samples) median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// row is what was measured with one scheme and one number of hostnames: requests per
// second, and the 99th percentile of the latency in milliseconds, by proxy.
type row struct {
	Scheme    string             `json:"scheme"`
	Hostnames int                `json:"hostnames"`
	Rates     map[string]samples `json:"requests_per_second"`
	P99       map[string]samples `json:"p99_ms"`
}

// figures are all that was measured. Deploys is nil if they were left out.
type figures struct {
	Rows    []row      `json:"rows"`
	Deploys *deploying `json:"during_deploys,omitempty"`
}

// write writes the figures where the options say, and the table to the standard output.
func write(o options, f figures) error {
	if o.out != "" {
		text, err := json.MarshalIndent(f, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.out, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	t := table(f.Rows, o)
	if f.Deploys != nil {
		t += f.Deploys.text()
	}
	fmt.Print(t)
	if o.page == "" {
		return nil
	}
	return intoPage(o.page, t)
}

// table returns the medians in Markdown.
func table(rows []row, o options) string {
	var t strings.Builder
	fmt.Fprintf(&t, "%s, %d cores, %s. Medians of %d rounds of %s each, in turns; requests per second and p99, and the ratio of mcp-edge to plain Caddy.\n\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), runtime.Version(), o.rounds, o.time)
	t.WriteString("| | hostnames | mcp-edge | plain Caddy | nginx | HAProxy | rate ratio | p99 ratio |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range rows {
		fmt.Fprintf(&t, "| %s | %d |", r.Scheme, r.Hostnames)
		for _, name := range []string{edge, caddy, nginx, haproxy} {
			fmt.Fprintf(&t, " %.0f · %.1f ms |", r.Rates[name].median(), r.P99[name].median())
		}
		fmt.Fprintf(&t, " %.2f | %.2f |\n", r.Rates[edge].median()/r.Rates[caddy].median(), r.P99[edge].median()/r.P99[caddy].median())
	}
	return t.String()
}

// text says in Markdown what was measured during deploys.
func (d deploying) text() string {
	var t strings.Builder
	fmt.Fprintf(&t, "\nDuring a deploy, over http with %d requests a second each (%.0f %% of what the slowest sustains), one of the first two beside the last. Medians of %d deploys.\n\n",
		d.Rate, 100*shareOfSaturation, len(d.P99[steadyByCaddy]))
	t.WriteString("| requests to | p99 | to plain Caddy | sent | failed |\n| --- | --- | --- | --- | --- |\n")
	for _, way := range ways {
		fmt.Fprintf(&t, "| %s | %.1f ms | %.2f | %d | %d |\n", way, d.P99[way].median(), d.P99[way].median()/d.P99[steadyByCaddy].median(), d.Requests[way], d.Failures[way])
	}
	return t.String()
}

// kept returns the figures in a file.
func kept(path string) (figures, error) {
	var f figures
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		return f, fmt.Errorf("-hosts \"\" keeps the rows of -out: %w", err)
	}
	return f, nil
}

// The marks around the table in a page.
const begin, end = "<!-- edge: begin -->\n", "<!-- edge: end -->\n"

// intoPage replaces the text between the marks in a page.
func intoPage(path, table string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("%s has no marks %q and %q", path, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(path, []byte(before+begin+table+end+after), 0o644)
}
