package edge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// shownEdge is mcp edge show --json.
type shownEdge struct {
	fleet.EdgeRecord
	// State is "waiting" for its admission, "admitted", "stale" or "away".
	State string `json:"state"`
	// Fingerprint is that of its key, as its mcp-edge prints it.
	Fingerprint string `json:"fingerprint"`
	// Admitted is when an operator admitted its key.
	Admitted time.Time `json:"admitted,omitzero"`
	// Seen is when it last announced itself, or answered.
	Seen    time.Time `json:"seen,omitzero"`
	Started time.Time `json:"started,omitzero"`
	// Error is why it does not answer; what follows is then its last answer.
	Error     *fault.Error `json:"error,omitempty"`
	Listening []int        `json:"listening"`
	// Publications are what it serves, by service.
	Publications []shownPublication `json:"publications"`
	// Unknown are those of these services of which the registry has no publication, or an
	// older one: it was restored or emptied.
	Unknown      []string            `json:"unknown"`
	Certificates []fleet.Certificate `json:"certificates"`
	// Active counts the requests and connections of each upstream that has any.
	Active map[string]int `json:"active"`
	// Problems are what keeps it from serving part of what it should, a sentence each.
	Problems []string `json:"problems"`
}

// shownPublication is what an edge has of one service.
type shownPublication struct {
	Service string `json:"service"`
	// Version is that of the publication which it serves; 0 where it has none.
	Version int64 `json:"version"`
	// Stale is set where there is a newer one that it has not acknowledged.
	Stale bool `json:"stale"`
}

func newShow(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "show EDGE",
		Short: "Show everything that is known of an edge",
		Long: `Show prints an edge as it answers now: the fingerprint of its key, the ports on
which it listens, which publications it serves and which of them are stale, its
certificates with the reason of each failure, and the requests that it has under
way. Where it does not answer, that is its last answer.`,
		Example: "  mcp edge show front\n  mcp edge show front --json | jq '.certificates[] | select(.problem)'",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, names []string) error { return runShow(cmd.Context(), s, names[0]) },
	}
}

func runShow(ctx context.Context, s *session.Session, name string) error {
	all, err := readEdges(ctx, s)
	if err != nil {
		return err
	}
	e, err := find(all, name)
	if err != nil {
		return err
	}
	shown := shownOf(e, all.Silent[name])
	if s.JSON {
		s.PrintJSON(shown)
		return nil
	}
	writeEdge(s, shown, time.Now())
	return nil
}

func shownOf(e fleet.EdgeState, silent *fault.Error) shownEdge {
	shown := shownEdge{
		EdgeRecord: e.EdgeRecord, State: stateOf(e, silent), Fingerprint: fingerprint(e.Key), Admitted: e.Admitted, Seen: e.Seen,
		Error: silent, Listening: []int{}, Publications: []shownPublication{}, Certificates: []fleet.Certificate{},
		Unknown: append([]string{}, e.Unknown...), Active: map[string]int{}, Problems: append([]string{}, e.ProblemsNow(silent == nil)...),
	}
	status := fleet.EdgeStatus{}
	if e.Status != nil {
		status = *e.Status
	}
	shown.Started = status.Started
	shown.Listening = append(shown.Listening, status.Listening...)
	shown.Certificates = append(shown.Certificates, status.Certificates...)
	for upstream, n := range status.Active {
		shown.Active[upstream] = n
	}
	services := append(sortedKeys(status.Versions), e.Stale...)
	slices.Sort(services)
	for _, service := range slices.Compact(services) {
		shown.Publications = append(shown.Publications, shownPublication{service, status.Versions[service], slices.Contains(e.Stale, service)})
	}
	return shown
}

// writeEdge prints an edge for a person.
func writeEdge(s *session.Session, e shownEdge, now time.Time) {
	table := ui.Table(s.Stdout)
	for _, line := range linesOf(e) {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", line[0], line[1])
	}
	for _, p := range e.Publications {
		_, _ = fmt.Fprintf(table, "publication\t%s\n", publicationText(p, slices.Contains(e.Unknown, p.Service)))
	}
	for _, c := range e.Certificates {
		writeCertificate(table, c, now)
	}
	for _, upstream := range sortedKeys(e.Active) {
		_, _ = fmt.Fprintf(table, "active\t%s: %d\n", upstream, e.Active[upstream])
	}
	for _, problem := range e.Problems {
		_, _ = fmt.Fprintf(table, "problem\t%s\n", problem)
	}
	_ = table.Flush()
}

func linesOf(e shownEdge) [][2]string {
	lines := [][2]string{{"edge", e.Name}, {"state", shownState(e.State, nil)}}
	if e.Error != nil {
		lines = append(lines, [2]string{"", e.Error.Message})
	}
	admission := "none: mcp edge admit " + e.Name
	if !e.Admitted.IsZero() {
		admission = ui.Moment(e.Admitted)
	}
	lines = append(lines,
		[2]string{"admission", admission},
		[2]string{"fingerprint", e.Fingerprint},
		[2]string{"last answer", ui.Moment(e.Seen)},
		[2]string{"mcp-edge", startedText(e)},
		[2]string{"host", orDash(e.Hostname)},
		[2]string{"addresses", orDash(strings.Join(e.Addresses, " "))},
		[2]string{"listens on", orDash(numbers(e.Listening))},
	)
	if len(e.Ports) > 0 {
		lines = append(lines, [2]string{"ports", hostPorts(e.Ports)})
	}
	return lines
}

func startedText(e shownEdge) string {
	text := "mcp " + e.Version
	if !e.Started.IsZero() {
		text += ", started " + ui.Moment(e.Started)
	}
	return text
}

func publicationText(p shownPublication, unknown bool) string {
	switch {
	case unknown:
		return fmt.Sprintf("%s, version %d, which the registry does not have: it was restored, or emptied", p.Service, p.Version)
	case p.Version == 0:
		return p.Service + ", stale: it has none"
	case p.Stale:
		return fmt.Sprintf("%s, version %d, stale: there is a newer one", p.Service, p.Version)
	}
	return fmt.Sprintf("%s, version %d", p.Service, p.Version)
}

// writeCertificate prints a certificate, and why the next one could not be obtained.
func writeCertificate(table *tabwriter.Writer, c fleet.Certificate, now time.Time) {
	text := "none yet"
	if c.Issuer != "" {
		text = fmt.Sprintf("by %s, %s old, %s", c.Issuer, days(now.Sub(c.From)), untilText(c.Until, now))
	}
	_, _ = fmt.Fprintf(table, "certificate\t%s: %s\n", c.Hostname, text)
	if c.Problem != "" {
		_, _ = fmt.Fprintf(table, "\tfailed %s: %s\n", ui.Moment(c.Failed), ui.FirstLine(c.Problem))
	}
}

func untilText(until, now time.Time) string {
	if left := until.Sub(now); left > 0 {
		return fmt.Sprintf("until %s (%s)", ui.Moment(until), days(left))
	}
	return "expired " + ui.Moment(until)
}
