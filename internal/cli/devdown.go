package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/fault"
)

// downPatience is what the platform may take to go down: running activities
// are given half a minute to end.
const downPatience = 2 * time.Minute

// ended is mcp dev down --json.
type ended struct {
	Dir string `json:"dir"`
	// Stopped is whether the platform ran.
	Stopped   bool `json:"stopped"`
	Destroyed bool `json:"destroyed"`
	// Left are paths that are not the platform's, and stay.
	Left []string `json:"left"`
}

func newDevDown(a *App, o *devOptions) *cobra.Command {
	var destroy bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End the local platform",
		Long: `Down ends the local platform in --dir: without that, the nearest one, in this
folder or above it.`,
		Example: "  mcp dev down\n  mcp dev down --destroy",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := o.existing(cmd.Flags().Changed("dir"))
			if err != nil {
				return err
			}
			return a.devDown(cmd.Context(), dir, destroy)
		},
	}
	cmd.Flags().BoolVar(&destroy, "destroy", false, "then remove its containers and all of its data")
	return cmd
}

// existing is the directory of the platform that is meant, where there is one.
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

// devDown ends the platform, and removes what it leaves if that is wished.
func (a *App) devDown(ctx context.Context, dir string, destroy bool) error {
	ctx, cancel := context.WithTimeout(ctx, downPatience)
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
	if a.json {
		a.printJSON(ended{Dir: dir, Stopped: ran, Destroyed: destroy, Left: append([]string{}, left...)})
		return nil
	}
	if ran {
		a.say("the platform in %s has ended", dir)
	} else {
		a.say("no platform runs in %s", dir)
	}
	if destroy {
		a.say("its containers and data are gone")
	}
	for _, path := range left {
		a.say("left, since it is not the platform's: %s", filepath.Clean(path))
	}
	return nil
}
