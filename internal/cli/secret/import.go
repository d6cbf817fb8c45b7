package secret

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/secrets"
	"github.com/metacircular/mcp/servicedef/envfile"
)

type importOptions struct {
	places
	only   []string
	deploy bool
}

func newImport(s *session.Session, deploy Deploy) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import SERVICE ENV-FILE",
		Short: "Set a secret for each variable of a .env file",
		Long: `Import sets a secret for each line NAME=VALUE of a file, as mcp secret set does:
the secret has the name of the variable. Values that are empty are left out. It
prints the line for the components of the definition that gives them the
variables. What has the value already is not changed. The file is in the notation
of env_file, as Compose has it; remove it afterwards.`,
		Example: "  mcp secret import shop .env\n  mcp secret import shop .env --only DATABASE_URL,SMTP_PASSWORD",
		Args:    session.Args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImport(cmd.Context(), s, args[0], args[1], o, deploy)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.only, "only", nil, "set only these variables")
	o.flags(flags, "them", "need them")
	flags.BoolVar(&o.deploy, "deploy", false, "deploy the service afterwards")
	return cmd
}

func runImport(ctx context.Context, s *session.Session, service, path string, o importOptions, deploy Deploy) error {
	values, err := variables(service, path, o.only)
	if err != nil {
		return exit.Usage(err)
	}
	d, found, err := openService(ctx, s, service)
	if err != nil {
		return err
	}
	defer d.close()
	results, set := []changed{}, []string{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if values[name] == "" {
			s.Say("%s has no value in %s: it is left out", name, path)
			continue
		}
		to, err := d.recipientsOf(ctx, service, name, o.places, found)
		if err != nil {
			return err
		}
		result, err := d.store(ctx, service, name, []byte(values[name]), to, found)
		if err != nil {
			return fault.Wrap(fault.Of(err).Kind, err, "set %s/%s; those before it are set", service, name)
		}
		results, set = append(results, result), append(set, name)
		if !s.JSON || o.deploy {
			s.Say("%s", summary(result))
		}
	}
	if len(set) > 0 {
		s.Say("a component gets them as variables with\n  %s", secretEnvLine(set))
	}
	if o.deploy {
		return deploy(ctx, service)
	}
	if s.JSON {
		s.PrintJSON(results)
	}
	return nil
}

// variables reads the wanted variables of a file; nil means all. No error has a part of a
// value.
func variables(service, path string, only []string) (map[string]string, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	all, err := envfile.Parse(string(text))
	var wrong *envfile.Error
	switch {
	case errors.As(err, &wrong):
		return nil, fault.New(fault.Invalid, "%s:%d: %s", path, wrong.Line, wrong.Rule)
	case err != nil:
		return nil, fault.New(fault.Invalid, "%s is no file of lines NAME=VALUE", path)
	}
	wanted := map[string]string{}
	for _, name := range only {
		value, found := all[name]
		if !found {
			return nil, fault.New(fault.NotFound, "%s has no variable %s", path, name)
		}
		wanted[name] = value
	}
	if only == nil {
		wanted = all
	}
	if len(wanted) == 0 {
		return nil, fault.New(fault.Invalid, "%s has no variable", path)
	}
	for name, value := range wanted {
		if err := secrets.CheckName(service, name); err != nil {
			return nil, err
		}
		if len(value) > secrets.MaxValue {
			return nil, fault.New(fault.Invalid, "%s: %s has more than %d KiB", path, name, secrets.MaxValue>>10)
		}
	}
	return wanted, nil
}

// secretEnvLine returns a line of a definition.
func secretEnvLine(names []string) string {
	pairs := make([]string, len(names))
	for i, name := range names {
		pairs[i] = fmt.Sprintf("%s = %q", key(name), name)
	}
	return "secret_env = { " + strings.Join(pairs, ", ") + " }"
}

// key returns a name as a key of TOML.
func key(name string) string {
	if strings.Contains(name, ".") {
		return fmt.Sprintf("%q", name)
	}
	return name
}
