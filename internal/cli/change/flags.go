package change

import (
	"time"

	"github.com/spf13/cobra"
)

// waitFlag adds the flag --wait.
func waitFlag(cmd *cobra.Command, wait *bool) {
	cmd.Flags().BoolVar(wait, "wait", false, "wait until the containers that were replaced are gone")
}

// deadlineFlag adds the flag --deadline.
func deadlineFlag(cmd *cobra.Command, deadline *time.Duration) {
	cmd.Flags().DurationVar(deadline, "deadline", 0, "how long to wait during an outage (default 30m)")
}
