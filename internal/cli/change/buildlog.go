package change

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/servicedef"
	"github.com/metacircular/mcp/workflows/reads"
)

// buildLog is what mcp build log --json prints.
type buildLog struct {
	Service string `json:"service"`
	Builder string `json:"builder"`
	// File is the log's name, on the builder, and Text is all of it.
	File string `json:"file"`
	Text string `json:"text"`
}

func newBuildLog(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "log SERVICE [IMAGE]",
		Short: "Show the whole output of the last build of a service",
		Long: `Log shows the whole output of the newest build of a service, or of one of its
images, whether it has succeeded, failed or still runs. A builder keeps the last
20 logs of an image, and at most 64 MiB of each. Where this machine's
configuration has [build] workspace its own logs are read, otherwise those of the
builder that it names.`,
		Example: "  mcp build log shop\n  mcp build log shop shop-api",
		Args:    session.Args(cobra.RangeArgs(1, 2)),
		RunE:    func(cmd *cobra.Command, args []string) error { return runBuildLog(cmd.Context(), s, args) },
	}
}

func runBuildLog(ctx context.Context, s *session.Session, args []string) error {
	cfg, err := s.Config()
	if err != nil {
		return err
	}
	in := reads.BuildLogInput{Builder: cfg.Build.Builder}
	in.Service, in.Bytes = args[0], reads.MaxBuildLog
	if !servicedef.IsLabel(in.Service) {
		return exit.Usage(fmt.Errorf("%q is no name of a service", in.Service))
	}
	if len(args) > 1 {
		in.Images = args[1:]
		if strings.ContainsAny(args[1], "/@:") {
			return exit.Usage(fmt.Errorf("%q is no name in [build.images]", args[1]))
		}
	}
	if in.Builder == "" {
		return exit.Usage(fault.New(fault.Invalid, "there is no builder; this configuration is %s", cfg.Describe()).
			WithHint("set [build] workspace or [build] builder in mcp.toml"))
	}
	read := func(in reads.BuildLogInput) (reads.BuildLogResult, error) {
		return reads.ReadBuildLog(cfg.Build.Builder, cfg.Build.Logs, in)
	}
	if cfg.Build.Workspace == "" {
		c, err := s.Connect(ctx, cfg)
		if err != nil {
			return err
		}
		defer c.Close()
		read = func(in reads.BuildLogInput) (found reads.BuildLogResult, err error) {
			return found, s.Read(ctx, c, "build-log", reads.BuildLogName, in, &found)
		}
	}
	return showBuildLog(s, in, read)
}

// showBuildLog shows a whole log, which it reads part by part.
func showBuildLog(s *session.Session, in reads.BuildLogInput, read func(reads.BuildLogInput) (reads.BuildLogResult, error)) error {
	var whole strings.Builder
	for {
		found, err := read(in)
		if err != nil {
			return err
		}
		if found.File == "" {
			of := in.Service
			if len(in.Images) > 0 {
				of += "/" + in.Images[0]
			}
			return exit.Usage(fault.New(fault.NotFound, "builder %s has no log of a build of %s", in.Builder, of).
				WithHint("build it: mcp build %s", of))
		}
		on := found.Next > in.Offset // else the answer would be the same again
		if in.File, in.Offset = found.File, found.Next; s.JSON {
			whole.WriteString(found.Text)
		} else if _, err := fmt.Fprint(s.Stdout, found.Text); err != nil {
			return nil // the reader has gone
		}
		if found.End || found.Text == "" || !on {
			break
		}
	}
	if s.JSON {
		s.PrintJSON(buildLog{Service: in.Service, Builder: in.Builder, File: in.File, Text: whole.String()})
	}
	return nil
}
