package change

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// waitFlag adds the flag --wait.
func waitFlag(cmd *cobra.Command, wait *bool) {
	cmd.Flags().BoolVar(wait, "wait", false, "wait until the containers that were replaced are gone")
}

// sourceFlags adds the flags of verbs that build: --dirty, --no-cache and --progress.
func sourceFlags(cmd *cobra.Command, o *sourceOptions) {
	dirtyFlag(cmd, &o.dirty)
	cmd.Flags().BoolVar(&o.noCache, "no-cache", false, "run every step of what is built again")
	cmd.Flags().StringVar(&o.progress, "progress", progressAuto, `"plain" shows the whole output of builds while they run`)
}

// dirtyFlag adds the flag --dirty.
func dirtyFlag(cmd *cobra.Command, dirty *bool) {
	cmd.Flags().BoolVar(dirty, "dirty", false, "tag sources that are not committed by their content ({git} tags)")
}

// sourceOptions are those of verbs that build.
type sourceOptions struct {
	dirty, noCache bool
	progress       string
}

// The values of --progress.
const (
	progressAuto  = "auto"
	progressPlain = "plain"
)

func (o sourceOptions) check() error {
	if o.progress != progressAuto && o.progress != progressPlain {
		return fmt.Errorf("--progress must be %s or %s, not %q", progressAuto, progressPlain, o.progress)
	}
	return nil
}

// deadlineFlag adds the flag --deadline.
func deadlineFlag(cmd *cobra.Command, deadline *time.Duration) {
	cmd.Flags().DurationVar(deadline, "deadline", 0, "how long to wait during an outage (default 30m)")
}
