package edge

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/seal"
	"github.com/metacircular/mcp/workflows/tend"
)

// admitted is mcp edge admit --json.
type admitted struct {
	Edge        string `json:"edge"`
	Key         string `json:"key"`
	Fingerprint string `json:"fingerprint"`
	// Error is why it has not acknowledged what it is to serve: it gets that when it
	// next answers.
	Error *fault.Error `json:"error,omitempty"`
	// Problems are what keeps it from serving part of that, a sentence each.
	Problems []string `json:"problems"`
}

type admitOptions struct {
	key, fingerprint string
	yes              bool
}

func newAdmit(s *session.Session) *cobra.Command {
	var o admitOptions
	cmd := &cobra.Command{
		Use:   "admit EDGE",
		Short: "Admit an edge by its key, so that it serves",
		Long: `Admit gives an edge what it needs to serve: the routes of every service, and the
certificates with their keys. Until then it gets nothing, whatever it calls
itself. The key that is admitted is pinned: another key under that name is refused
until mcp edge remove.

It shows the fingerprint of the key that the edge has announced, and asks. Compare
it with the one that mcp-edge logs when it starts, or give that with
--fingerprint, or the whole key with --key: then nothing is asked, and another key
is refused. With --key the edge need not have announced itself yet. Without a
terminal one of these, or -y, is required.`,
		Example: "  mcp edge admit front\n  mcp edge admit front --fingerprint q3dx-7a2k-m4pw-zz5e-b6hj-2n7c-t4vf-k3ya",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, names []string) error { return runAdmit(cmd.Context(), s, names[0], o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.key, "key", "", "the edge's public key, \"age1…\"; another one is refused")
	flags.StringVar(&o.fingerprint, "fingerprint", "", "the fingerprint of its key; another one is refused")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return cmd
}

func runAdmit(ctx context.Context, s *session.Session, name string, o admitOptions) error {
	if o.key != "" && o.fingerprint != "" {
		return exit.Usage(fmt.Errorf("give the key or its fingerprint, not both"))
	}
	if o.key != "" {
		if _, err := seal.ParseKey(o.key); err != nil {
			return exit.Usage(fmt.Errorf("--key: %w", err))
		}
	}
	all, err := readEdges(ctx, s)
	if err != nil {
		return err
	}
	e, err := find(all, name)
	if o.key != "" && fault.Is(err, fault.NotFound) {
		e, err = fleet.EdgeState{EdgeRecord: fleet.EdgeRecord{Name: name, Key: o.key}}, nil // it may announce itself later
	}
	if err != nil {
		return err
	}
	key, err := seal.ParseKey(e.Key)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "edge %s has announced a key that is none", name).
			WithHint("upgrade its mcp-edge, and start it again")
	}
	if err := o.check(e, key); err != nil {
		return err
	}
	if !o.named() && e.Admitted.IsZero() {
		if err := s.Agree(ctx, "edge admit "+name, facts(e, key), o.yes); err != nil {
			return err
		}
	}
	var result tend.AdmitEdgeResult
	in := tend.AdmitEdgeInput{Edge: name, Key: e.Key}
	if err := changeEdge(ctx, s, name, "admit", tend.AdmitEdgeName, in, &result); err != nil {
		return err
	}
	showAdmitted(s, admitted{
		Edge: name, Key: result.Key, Fingerprint: fingerprint(result.Key), Error: result.Published.Error,
		Problems: append([]string{}, result.Published.Problems...),
	})
	return nil
}

// named reports whether the operator has named the key.
func (o admitOptions) named() bool { return o.key != "" || o.fingerprint != "" }

// check refuses a key that is not the one which the operator has named.
func (o admitOptions) check(e fleet.EdgeState, key seal.Key) error {
	var want string
	switch {
	case o.key != "" && o.key != key.String():
		want = fingerprint(o.key)
	case o.fingerprint != "" && plain(o.fingerprint) != plain(key.Fingerprint()):
		want = o.fingerprint
	default:
		return nil
	}
	f := fault.New(fault.Conflict, "edge %s has another key: its fingerprint is %s, not %s", e.Name, key.Fingerprint(), want)
	if e.Admitted.IsZero() {
		return f.WithHint("compare it with what mcp-edge logs on the edge's host; if that is what you gave, another host calls itself %s", e.Name)
	}
	return f.WithHint("that key was admitted; if the edge has a new one, forget the old one first: mcp edge remove %s", e.Name)
}

// plain returns a fingerprint without what people write differently.
func plain(fingerprint string) string {
	return strings.ToLower(strings.NewReplacer("-", "", " ", "", ":", "").Replace(fingerprint))
}

// facts returns what an operator compares before an edge is admitted.
func facts(e fleet.EdgeState, key seal.Key) string {
	return fmt.Sprintf("edge %s on host %s, at %s\n  has the key with the fingerprint\n  %s\n"+
		"Compare that with what mcp-edge logs there. It gets the routes of every service, and their certificates.",
		e.Name, orDash(e.Hostname), orDash(strings.Join(e.Addresses, " ")), key.Fingerprint())
}

// showAdmitted shows what has become of an admission.
func showAdmitted(s *session.Session, a admitted) {
	if s.JSON {
		s.PrintJSON(a)
		return
	}
	_, _ = fmt.Fprintf(s.Stdout, "%s: admitted, with the key %s\n", a.Edge, a.Fingerprint)
	if a.Error != nil {
		s.Say("it does not serve yet: %s; it gets the routes when it next starts, or answers", a.Error.Message)
	}
	for _, problem := range a.Problems {
		s.Say("%s: %s", a.Edge, problem)
	}
}
