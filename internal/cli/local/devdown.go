package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/fault"
)

// downTimeout bounds the end of the platform: running activities have half a minute to
// end.
const downTimeout = 2 * time.Minute

// ended is mcp dev down --json.
type ended struct {
	Dir string `json:"dir"`
	// Stopped is whether the platform ran.
	Stopped   bool `json:"stopped"`
	Destroyed bool `json:"destroyed"`
	// Left are paths that are not the platform's, and were not removed.
	Left []string `json:"left"`
}

func newDevDown(s *session.Session, o *devOptions) *cobra.Command {
	var destroy bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End the local platform",
		Long: `Down ends the local platform in --dir; without that, the nearest one, in this
folder or above it.`,
		Example: "  mcp dev down\n  mcp dev down --destroy",
		Args:    session.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := o.existing(cmd.Flags().Changed("dir"))
			if err != nil {
				return err
			}
			return runDevDown(cmd.Context(), s, dir, destroy)
		},
	}
	cmd.Flags().BoolVar(&destroy, "destroy", false, "then remove its containers and all of its data")
	return cmd
}

// existing returns the directory of the platform: that of --dir, or the nearest one.
func (o devOptions) existing(given bool) (string, error) {
	if given {
		if !dev.Exists(o.dir) {
			return "", fault.New(fault.NotFound, "there is no platform in %s", o.dir)
		}
		return o.dir, nil
	}
	cwd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working directory: %w", err)
	}
	dir, ok := dev.Find(cwd, o.dir)
	if !ok {
		return "", fault.New(fault.NotFound, "there is no platform here: no %s in this folder or one above it", o.dir).
			WithHint("--dir names one that is elsewhere")
	}
	return dir, nil
}

// runDevDown ends the platform, and on request removes its containers and data.
func runDevDown(ctx context.Context, s *session.Session, dir string, destroy bool) error {
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	ran, err := dev.Stop(ctx, dir)
	if err != nil {
		return err
	}
	var left []string
	if destroy {
		if left, err = dev.Destroy(ctx, dir); err != nil {
			return err
		}
	}
	if s.JSON {
		s.PrintJSON(ended{Dir: dir, Stopped: ran, Destroyed: destroy, Left: append([]string{}, left...)})
		return nil
	}
	if ran {
		s.Say("the platform in %s has ended", dir)
	} else {
		s.Say("no platform runs in %s", dir)
	}
	if destroy {
		s.Say("its containers and data are gone")
	}
	for _, path := range left {
		s.Say("left, because it is not the platform's: %s", filepath.Clean(path))
	}
	return nil
}
