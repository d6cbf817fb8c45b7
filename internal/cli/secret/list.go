package secret

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/cli/ui"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/reads"
)

// listed is one entry of mcp secret list --json.
type listed struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	Version int    `json:"version"`
	// Kept is how many versions are kept.
	Kept       int         `json:"kept"`
	At         time.Time   `json:"at"`
	Who        string      `json:"who"`
	From       string      `json:"from"`
	Recipients []recipient `json:"recipients"`
}

func newList(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "list [SERVICE]",
		Short: "List secrets, without their values",
		Long: `List shows the secrets that mcp manages, of one service or of all: the newest
version of each, who has set it, and to whom it is sealed. Secrets that were made
with podman on a node are not among them. No command shows a value.`,
		Example: "  mcp secret list\n  mcp secret list shop",
		Args:    session.Args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runList(cmd.Context(), s, strings.Join(args, ""))
		},
	}
}

func runList(ctx context.Context, s *session.Session, service string) error {
	if service != "" && !servicedef.IsLabel(service) {
		return exit.Usage(fmt.Errorf("%q is no name of a service", service))
	}
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	found, err := recorded(ctx, s, c, "secret list", reads.SecretsInput{Service: service, Page: true})
	if err != nil {
		return err
	}
	list := make([]listed, 0, len(found.Secrets))
	for _, secret := range found.Secrets {
		v, _ := secret.Current()
		list = append(list, listed{secret.Service, secret.Name, secret.Newest, secret.Kept, v.At, v.Who, v.From, recipientsShown(v.Recipients)})
	}
	switch {
	case s.JSON:
		s.PrintJSON(list)
		return nil
	case len(list) == 0:
		s.Say("no secrets are set; set one: mcp secret set SERVICE/NAME")
		return nil
	}
	table := ui.Table(s.Stdout)
	_, _ = fmt.Fprintln(table, "SECRET\tVERSION\tSET\tBY\tSEALED TO")
	for i, l := range list {
		v, _ := found.Secrets[i].Current()
		_, _ = fmt.Fprintf(table, "%s/%s\t%d\t%s\t%s\t%s\n", l.Service, l.Name, l.Version, ui.Moment(l.At), l.Who, sealedTo(v.Recipients, found.Nodes))
	}
	return table.Flush()
}

// sealedTo names recipients for a person, with what keeps a node from opening the value.
func sealedTo(all []secrets.Recipient, nodes []fleet.NodeRecord) string {
	var names []string
	for _, r := range all {
		names = append(names, r.String()+lacking(r, nodes))
	}
	return strings.Join(names, ", ")
}

// lacking returns what keeps a recipient from opening a value; "" for nothing.
func lacking(r secrets.Recipient, nodes []fleet.NodeRecord) string {
	if !r.IsNode() {
		return ""
	}
	for _, node := range nodes {
		if node.Name == r.Name && node.Key != r.Key.String() {
			return " (has another key now)"
		} else if node.Name == r.Name {
			return ""
		}
	}
	return " (is gone)"
}

// shown is mcp secret show --json.
type shown struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	Newest  int    `json:"newest"`
	// Release is the number of the release, and UsedBy what names the secret in it.
	Release  int            `json:"release"`
	UsedBy   []string       `json:"used_by"`
	Versions []shownVersion `json:"versions"`
}

// shownVersion is one version of a secret.
type shownVersion struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	Rekeyed time.Time `json:"rekeyed,omitzero"`
	Who     string    `json:"who"`
	From    string    `json:"from"`
	// Releases are the last ones that name it, newest first, 20 at most.
	Releases   []int       `json:"releases"`
	Signer     string      `json:"signer"`
	Recipients []recipient `json:"recipients"`
	sealed     []secrets.Recipient
}

func newShow(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "show SERVICE/NAME",
		Short: "Show the versions of a secret, without their values",
		Long: `Show prints each version of a secret that is kept: when it was set, by whom and
from which host, who has signed it, and to whom it is sealed. It shows no value:
only the nodes, the builders and the recovery keys can open one.`,
		Example: "  mcp secret show shop/db",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return runShow(cmd.Context(), s, args[0]) },
	}
}

func runShow(ctx context.Context, s *session.Session, target string) error {
	service, name, err := parse(target)
	if err != nil {
		return err
	}
	_, c, err := s.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	found, err := recorded(ctx, s, c, "secret show", reads.SecretsInput{Service: service})
	if err != nil {
		return err
	}
	secret, err := existing(found.Secrets, service, name)
	if err != nil {
		return err
	}
	result := shown{Service: service, Name: name, Newest: secret.Newest, UsedBy: []string{}}
	if r := found.Release; r != nil && r.Definition != nil {
		result.Release = r.Number
		for _, user := range servicedef.SecretUsers(*r.Definition) {
			if slices.Contains(user.Secrets, name) {
				result.UsedBy = append(result.UsedBy, user.Component)
			}
		}
	}
	for _, v := range secret.Versions {
		result.Versions = append(result.Versions, shownVersion{v.Version, v.At, v.Rekeyed, v.Who, v.From, append([]int{}, v.Releases...), v.Signer.String(), recipientsShown(v.Recipients), v.Recipients})
	}
	if s.JSON {
		s.PrintJSON(result)
		return nil
	}
	writeShown(s, result, found.Nodes)
	return nil
}

// releases names the first of the releases, which are enough.
func releases(numbers []int) string {
	const most = 5
	var names []string
	for _, n := range numbers[:min(len(numbers), most)] {
		names = append(names, fmt.Sprint(n))
	}
	text := "release "
	if len(numbers) > 1 {
		text = "releases "
	}
	text += strings.Join(names, ", ")
	if len(numbers) > most {
		text += ", …"
	}
	return text
}

func writeShown(s *session.Session, r shown, nodes []fleet.NodeRecord) {
	table := ui.Table(s.Stdout)
	_, _ = fmt.Fprintf(table, "secret\t%s/%s\n", r.Service, r.Name)
	if len(r.UsedBy) > 0 {
		_, _ = fmt.Fprintf(table, "used by\t%s, in release %d\n", strings.Join(r.UsedBy, ", "), r.Release)
	}
	for _, v := range r.Versions {
		_, _ = fmt.Fprintf(table, "version %d\tset %s by %s on %s\n", v.Version, ui.Moment(v.At), v.Who, v.From)
		if len(v.Releases) > 0 {
			_, _ = fmt.Fprintf(table, "  in\t%s\n", releases(v.Releases))
		}
		if !v.Rekeyed.IsZero() {
			_, _ = fmt.Fprintf(table, "  sealed again\t%s\n", ui.Moment(v.Rekeyed))
		}
		_, _ = fmt.Fprintf(table, "  sealed to\t%s\n  signed by\t%s\n", sealedTo(v.sealed, nodes), v.Signer)
	}
	_ = table.Flush()
}
