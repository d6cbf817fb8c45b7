package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
)

// finding is one entry of mcp doctor --json.
type finding struct {
	Check string `json:"check"`
	// Status is one of the status… constants.
	Status string `json:"status"`
	Detail string `json:"detail"`
	// Hint is what mends it; "" where nothing has to be mended.
	Hint string `json:"hint"`
	// unreachable says that the control plane is what is missing.
	unreachable bool
}

const (
	statusOK   = "ok"
	statusWarn = "warn"
	statusFail = "fail"
)

// doctorPatience bounds each check.
const doctorPatience = 5 * time.Second

func ok(check, detail string, args ...any) finding {
	return finding{Check: check, Status: statusOK, Detail: fmt.Sprintf(detail, args...)}
}

func warn(check, hint, detail string, args ...any) finding {
	return finding{Check: check, Status: statusWarn, Detail: fmt.Sprintf(detail, args...), Hint: hint}
}

func fail(check string, f *fault.Error) finding {
	return finding{Check: check, Status: statusFail, Detail: f.Message, Hint: f.Hint}
}

func newDoctor(a *App) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that mcp needs, and say what mends what is wrong",
		Long: `Doctor checks what mcp needs: the configuration and the definitions, Temporal,
the control worker, Postgres, each node and its podman, the builder and the
image registries. It exits 0 where nothing fails, 1 where something does, and 4
where the control plane cannot be reached.`,
		Example: "  mcp doctor",
		Args:    args(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context()) },
	}
}

func (a *App) doctor(ctx context.Context) error {
	cfg, err := a.config()
	if err != nil {
		_, f := classify(err)
		return a.showFindings([]finding{fail("configuration", f.WithHint("docs/mcp.example.toml explains each key"))})
	}
	configured := ok("configuration", "%s", cfg.Describe())
	if cfg.File() == "" {
		configured = warn("configuration", "write one (docs/mcp.example.toml explains each key), or name one: --config, MCP_CONFIG", "%s", cfg.Describe())
	}
	services := servicesOf(cfg)
	here := make(chan []finding, 1)
	go func() { here <- checkHere(ctx, cfg, services) }()
	plane := a.checkPlane(ctx, cfg, services)
	if ctx.Err() != nil {
		return exitError(exitInterrupted)
	}
	return a.showFindings(slices.Concat([]finding{configured, services.finding}, <-here, plane))
}

// showFindings shows them, and gives the exit code.
func (a *App) showFindings(list []finding) error {
	if a.json {
		a.printJSON(list)
	} else {
		a.writeFindings(list)
	}
	code := 0
	for _, f := range list {
		switch {
		case f.unreachable:
			code = exitUnreachable
		case f.Status == statusFail:
			code = max(code, exitFailed)
		}
	}
	if code != 0 {
		return exitError(code)
	}
	return nil
}

// writeFindings shows the list to a person.
func (a *App) writeFindings(list []finding) {
	table := tabwriter.NewWriter(a.Stdout, 0, 4, 2, ' ', 0)
	for _, f := range list {
		lines := strings.Split(strings.TrimSpace(f.Detail), "\n")
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", f.Status, f.Check, lines[0])
		for _, line := range lines[1:] {
			_, _ = fmt.Fprintf(table, "\t\t%s\n", line)
		}
		if f.Hint != "" {
			_, _ = fmt.Fprintf(table, "\t\thint: %s\n", f.Hint)
		}
	}
	_ = table.Flush()
}

// defined is what the services directory says.
type defined struct {
	finding finding
	// nodes are those that the definitions name, and images one of each image
	// registry.
	nodes, images []string
	// builds is whether one of them says how to build an image.
	builds bool
}

func servicesOf(cfg *config.Config) defined {
	const check = "services"
	if cfg.Services == "" {
		return defined{finding: warn(check, "set services in mcp.toml", "no services directory is set")}
	}
	services, problems, err := definitions(cfg.Services)
	d := defined{}
	registries := map[string]bool{}
	for _, s := range services {
		d.builds = d.builds || len(s.Build.Images) > 0
		for _, c := range s.Components {
			d.nodes = append(d.nodes, c.Node)
			if host := servicedef.ImageRegistry(c.Image); !registries[host] {
				registries[host] = true
				d.images = append(d.images, c.Image)
			}
		}
	}
	slices.Sort(d.nodes)
	slices.Sort(d.images)
	d.nodes = slices.Compact(d.nodes)
	switch {
	case err != nil:
		d.finding = fail(check, fault.New(fault.Invalid, "%v", err).WithHint("make it, or mend services in mcp.toml"))
	case len(problems) > 0:
		d.finding = fail(check, fault.New(fault.Invalid, "%s: %d definitions, and\n%v", cfg.Services, len(services), problems).WithHint("mend them: mcp service edit SERVICE"))
	case len(services) == 0:
		d.finding = warn(check, "write one: mcp service new NAME", "%s holds no definition", cfg.Services)
	default:
		d.finding = ok(check, "%s: %d definitions", cfg.Services, len(services))
	}
	return d
}

// sideBySide runs checks at once, each in its time, and keeps their order.
func sideBySide(ctx context.Context, checks ...func(context.Context) []finding) []finding {
	found := make([]chan []finding, len(checks))
	for i, check := range checks {
		found[i] = make(chan []finding, 1)
		go func() {
			ctx, cancel := context.WithTimeout(ctx, doctorPatience)
			defer cancel()
			found[i] <- check(ctx)
		}()
	}
	var all []finding
	for _, f := range found {
		all = append(all, <-f...)
	}
	return all
}

// late says of an error that it is only that the time was up.
func late(err error) *fault.Error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Unavailable, "no answer in %s", doctorPatience)
	}
	return fault.Of(err)
}

// hinted is a fault with a hint, unless it has one.
func hinted(f *fault.Error, hint string, args ...any) *fault.Error {
	return f.WithHint("%s", cmp.Or(f.Hint, fmt.Sprintf(hint, args...)))
}
