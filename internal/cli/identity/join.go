package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// joined is mcp join --json.
type joined struct {
	Identity string `json:"identity"`
	// Directory has the certificate, and Config is the configuration that names it.
	Directory string   `json:"directory"`
	Config    string   `json:"config"`
	Doors     []string `json:"doors"`
	// Unit is the unit of systemd that was installed; "" for none. Started is set where it
	// runs.
	Unit    string `json:"unit,omitempty"`
	Started bool   `json:"started"`
}

// newJoin returns mcp join, or that of one role.
func newJoin(s *session.Session, role identity.Role) *cobra.Command {
	var o joinOptions
	name, of := "join", "this machine, or its user,"
	if role != "" {
		of = "this machine as a " + string(role)
	}
	cmd := &cobra.Command{
		Use:   name + " TOKEN",
		Short: "Join " + of + " to a fleet, with a token of mcp identity create",
		Long: `Join makes a key, gets its certificate from a gateway, and writes the
configuration that uses it. The key never leaves this machine; whatever uses the
certificate renews it. The token counts once; "-" reads it from standard input.

As a node, an edge, a builder or a control worker, as root, it writes
/etc/mcp/mcp.toml and a unit of systemd, and starts that. As a node or a builder,
without root, it does the same for the podman of this user, below the home
directory. As an operator, a deployer or a reader it writes mcp.toml for this
user. A mcp.toml that is there already gets a [door] section. Encryption keys are
the gateways': a machine behind them needs none.`,
		Example: "  mcp join mcp-join-1.eyJyb2xlIjoib3Bl…\n  mcp join - --publish 10.0.0.5",
		Args:    session.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			o.uid = os.Geteuid()
			return runJoin(cmd.Context(), s, role, given[0], o)
		},
	}
	if role != "" {
		cmd.Example = "  mcp " + string(role) + " join mcp-join-1.eyJyb2xlIjoibm9k…\n  mcp " + string(role) + " join - --publish 10.0.0.5"
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", "", "the directory of the certificate (default: by role)")
	flags.StringVar(&o.publish, "publish", "", "the address of this host that a node's routes are published on")
	flags.StringVar(&o.units, "units", "", "the directory of systemd's units (default "+systemUnits+", or the user's)")
	flags.BoolVar(&o.noUnit, "no-unit", false, "install no unit of systemd")
	return cmd
}

// maxInput bounds a token on standard input, in bytes.
const maxInput = 16 << 10

func runJoin(ctx context.Context, s *session.Session, role identity.Role, given string, o joinOptions) error {
	if _, err := netip.ParseAddr(o.publish); err != nil && o.publish != "" {
		return exit.Usage(fmt.Errorf("--publish must be an IP address of this host, not %q", o.publish))
	}
	if given == "-" {
		if s.Stdin == nil {
			return exit.Usage(errors.New("there is no standard input to read the token from"))
		}
		text, err := io.ReadAll(io.LimitReader(s.Stdin, maxInput))
		if err != nil {
			return fault.Wrap(fault.Internal, err, "reading the token")
		}
		given = string(text)
	}
	token, err := identity.ParseToken(given)
	if err != nil {
		return exit.Usage(err)
	}
	if role != "" && token.Role != role {
		return exit.Usage(fault.New(fault.Invalid, "the token is of %s, not of a %s", token.Who(), role).WithHint("join with it: mcp join TOKEN"))
	}
	if o.publish != "" && token.Role != identity.Node {
		return exit.Usage(fmt.Errorf("--publish is for a node; the token is of %s", token.Who()))
	}
	p, err := planFor(s, token, o)
	if err != nil {
		return err
	}
	if err := p.prepare(); err != nil { // before the token is used up
		return err
	}
	j, err := enrol.Join(ctx, token)
	if fault.Is(err, fault.Unavailable) {
		return exit.Unreachable(fault.Of(err))
	}
	if err != nil {
		return err
	}
	if err := p.write(j); err != nil {
		return err
	}
	result := joined{Identity: j.Identity.String(), Directory: string(p.dir), Config: p.config, Doors: j.Doors, Unit: p.unitFile()}
	if p.unit != "" {
		if result.Started, err = p.start(ctx, s.Getenv); err != nil {
			return err
		}
	}
	if s.JSON {
		s.PrintJSON(result)
		return nil
	}
	p.report(s, result)
	return nil
}

// report says what was done, and what is left to do.
func (p *plan) report(s *session.Session, result joined) {
	_, _ = fmt.Fprintf(s.Stdout, "%s: joined, through %s\n", result.Identity, strings.Join(result.Doors, " "))
	_, _ = fmt.Fprintf(s.Stdout, "  certificate    %s\n  configuration  %s\n", result.Directory, result.Config)
	switch {
	case result.Started:
		_, _ = fmt.Fprintf(s.Stdout, "  unit           %s, started\n", result.Unit)
	case result.Unit != "":
		_, _ = fmt.Fprintf(s.Stdout, "  unit           %s\n", result.Unit)
		s.Say("start it: %s enable --now %s", strings.Join(p.systemctl(), " "), p.unit)
	case !p.token.Role.Person():
		s.Say("start it: %s", p.command())
	}
	if p.own && p.unit != "" {
		s.Say("so that it runs while this user is not logged in, and after a boot: loginctl enable-linger; it uses the podman of this user: systemctl --user enable --now podman.socket")
	}
	if p.keys != "" {
		s.Say("the gateways have the encryption keys: this machine needs no %s any more; remove it, and encryption_key_file from %s", p.keys, p.config)
	}
}
