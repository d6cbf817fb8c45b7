package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// rotated is mcp identity rotate --json.
type rotated struct {
	// Authority is the SHA-256 of the present authority's certificate, Next that of the one
	// that takes over; "" for none.
	Authority string    `json:"authority"`
	Next      string    `json:"next,omitempty"`
	Made      time.Time `json:"made,omitzero"`
	// Finished is set where this command has dropped the former authority.
	Finished bool `json:"finished"`
	// Waiting are the identities that need the present authority or, once it is dropped,
	// those that are refused without it.
	Waiting []waiting `json:"waiting"`
}

type waiting struct {
	Identity string `json:"identity"`
	// State is invited or active, and Until when the token or the certificate ends.
	State string    `json:"state"`
	Until time.Time `json:"until"`
}

type rotateOptions struct {
	status, finish, force bool
	direct, yes           bool
}

func newRotate(s *session.Session) *cobra.Command {
	var o rotateOptions
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the authority of the gateways by a new one",
		Long: `Rotate replaces the authority that signs all certificates, in two steps: once in
some years, or when the key of the gateways was seen by others.

Without flags it makes the next authority, sealed like the present one. From then
on gateways accept the certificates of both, each machine that renews its
certificate gets one of the next and trusts both, and gateways keep theirs. A
second call only shows how it stands. Workers and edges renew within an hour,
operators by their next mcp identity command or when the certificate is due.

With --finish it drops the former authority, as soon as no identity needs it: its
certificates are refused within a minute, and gateways get ones of the new. As
long as there are identities that need it, it changes nothing and names them.
--force drops it all the same: they then join again, with new tokens.

--finish asks for confirmation; without a terminal it requires -y.`,
		Example: "  mcp identity rotate\n  mcp identity rotate --status\n  mcp identity rotate --finish",
		Args:    session.Args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runRotate(cmd.Context(), s, o) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.status, "status", false, "show how it stands, and change nothing")
	flags.BoolVar(&o.finish, "finish", false, "drop the former authority")
	flags.BoolVar(&o.force, "force", false, "with --finish: refuse the identities that still need it")
	flags.BoolVar(&o.direct, "direct", false, "write to the registry itself: on the host of a gateway")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

func runRotate(ctx context.Context, s *session.Session, o rotateOptions) error {
	switch {
	case o.status && o.finish:
		return exit.Usage(errors.New("--status changes nothing: leave out --finish"))
	case o.force && !o.finish:
		return exit.Usage(errors.New("--force is for --finish"))
	}
	if o.finish {
		loss := "the certificates of the former authority"
		if o.force {
			loss += ": identities that have no other one must join again"
		}
		if err := s.Confirm(ctx, "identity rotate --finish", []string{loss}, o.yes); err != nil {
			return err
		}
	}
	step := identity.RotationStep{Begin: !o.status && !o.finish, Finish: o.finish, Force: o.force}
	answer, err := ask(ctx, s, o.direct, enrol.Request{Rotate: &step})
	if err != nil {
		return err
	}
	if answer.Rotation == nil {
		return fault.New(fault.Invalid, "the gateway does not know how to replace its authority").WithHint("upgrade the gateways first")
	}
	r := rotatedOf(*answer.Rotation, time.Now())
	if o.finish && !r.Finished {
		return fault.New(fault.Conflict, "%s: %s", needed(len(r.Waiting)), named(r.Waiting)).
			WithHint("wait until they have renewed their certificates: mcp identity rotate --status; those that are gone, revoke: mcp identity revoke; or refuse all of them with --force")
	}
	if s.JSON {
		s.PrintJSON(r)
		return nil
	}
	return r.write(s)
}

func rotatedOf(r identity.Rotation, now time.Time) rotated {
	shown := rotated{Authority: r.Authority, Next: r.Next, Made: r.Made, Finished: r.Finished, Waiting: []waiting{}}
	for _, w := range r.Waiting {
		l := listedOf(w, now)
		shown.Waiting = append(shown.Waiting, waiting{Identity: w.String(), State: l.State, Until: l.Until})
	}
	return shown
}

// needed says how many identities need the present authority.
func needed(n int) string {
	if n == 1 {
		return "one identity still needs the present authority"
	}
	return fmt.Sprintf("%d identities still need the present authority", n)
}

// mostNamed bounds the identities that an error names.
const mostNamed = 8

func named(list []waiting) string {
	var names []string
	for i, w := range list {
		if i == mostNamed {
			names = append(names, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		names = append(names, w.Identity)
	}
	return strings.Join(names, ", ")
}

// short returns the beginning of a fingerprint.
func short(fingerprint string) string { return fingerprint[:min(16, len(fingerprint))] }

func (r rotated) write(s *session.Session) error {
	switch {
	case r.Finished:
		_, _ = fmt.Fprintf(s.Stdout, "authority  %s  signs all certificates; the former one is dropped\n", short(r.Authority))
	case r.Next == "":
		_, _ = fmt.Fprintf(s.Stdout, "authority  %s  signs all certificates\n", short(r.Authority))
	default:
		_, _ = fmt.Fprintf(s.Stdout, "authority  %s  signs the certificates of gateways\nnext       %s  made %s, signs those of identities\n",
			short(r.Authority), short(r.Next), ui.Moment(r.Made))
	}
	if len(r.Waiting) > 0 {
		_, _ = fmt.Fprintln(s.Stdout)
		table := ui.Table(s.Stdout)
		_, _ = fmt.Fprintln(table, "IDENTITY\tSTATE\tUNTIL")
		for _, w := range r.Waiting {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", ui.Cell(w.Identity), w.State, ui.Moment(w.Until))
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
	switch {
	case r.Finished && len(r.Waiting) > 0:
		s.Say("these are refused now; each joins again with a new token: mcp identity create ROLE NAME")
	case r.Next != "" && len(r.Waiting) > 0:
		s.Say("%s; they renew by themselves: mcp identity rotate --status", needed(len(r.Waiting)))
	case r.Next != "":
		s.Say("no identity needs the present authority any more: mcp identity rotate --finish")
	}
	return nil
}
