package identity

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// listed is one entry of mcp identity list --json.
type listed struct {
	Role identity.Role `json:"role"`
	Name string        `json:"name"`
	// State is invited, active, expired or revoked.
	State    string           `json:"state"`
	Services []string         `json:"services"`
	Grants   []identity.Grant `json:"grants"`
	// Until is when the certificate, or the token, ends.
	Until      time.Time `json:"until"`
	Created    time.Time `json:"created"`
	CreatedBy  string    `json:"created_by"`
	Joined     time.Time `json:"joined,omitzero"`
	JoinedFrom string    `json:"joined_from,omitempty"`
	Renewed    time.Time `json:"renewed,omitzero"`
	Revoked    time.Time `json:"revoked,omitzero"`
	RevokedBy  string    `json:"revoked_by,omitempty"`
}

func newList(s *session.Session) *cobra.Command {
	var direct, all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the identities",
		Long: `List shows the identities: those whose token waits to be used (invited), those
with a certificate (active), and those whose token or certificate has ended
(expired). With --all it shows those that are revoked, too, for some three
months.`,
		Example: "  mcp identity list\n  mcp identity list --all --json | jq -r '.[] | select(.state == \"revoked\").name'",
		Args:    session.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runList(cmd.Context(), s, direct, all) },
	}
	cmd.Flags().BoolVar(&all, "all", false, "show those that are revoked, too")
	cmd.Flags().BoolVar(&direct, "direct", false, "read the registry itself: on the host of a gateway")
	return cmd
}

func runList(ctx context.Context, s *session.Session, direct, all bool) error {
	answer, err := ask(ctx, s, direct, enrol.Request{List: true})
	if err != nil {
		return err
	}
	list := []listed{}
	for _, r := range answer.Identities {
		if l := listedOf(r, time.Now()); all || l.State != identity.Revoked {
			list = append(list, l)
		}
	}
	if s.JSON {
		s.PrintJSON(list)
		return nil
	}
	return writeList(s.Stdout, list)
}

func listedOf(r identity.Record, now time.Time) listed {
	until := r.ValidUntil
	if r.Joined.IsZero() {
		until = r.TokenUntil
	}
	return listed{
		Role: r.Role, Name: r.Name, State: r.State(now), Services: append([]string{}, r.Services...), Grants: append([]identity.Grant{}, r.Grants...),
		Until: until, Created: r.Created, CreatedBy: r.CreatedBy, Joined: r.Joined, JoinedFrom: r.JoinedFrom,
		Renewed: r.Renewed, Revoked: r.Revoked, RevokedBy: r.RevokedBy,
	}
}

func writeList(out io.Writer, list []listed) error {
	table := ui.Table(out)
	_, _ = fmt.Fprintln(table, "IDENTITY\tSTATE\tUNTIL\tSERVICES\tGRANTS\tJOINED FROM\tCREATED BY")
	for _, l := range list {
		from := l.JoinedFrom
		if from == "" {
			from = "-"
		}
		_, _ = fmt.Fprintf(table, "%s/%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Role, l.Name, l.State, ui.Moment(l.Until),
			ui.Cell(words(l.Services)), ui.Cell(words(l.Grants)), ui.Cell(from), ui.Cell(l.CreatedBy))
	}
	return table.Flush()
}

// words joins a list for a person; "-" for an empty one.
func words[T ~string](list []T) string {
	if len(list) == 0 {
		return "-"
	}
	texts := make([]string, len(list))
	for i, w := range list {
		texts[i] = string(w)
	}
	return strings.Join(texts, " ")
}
