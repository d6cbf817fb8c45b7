package change

import (
	"time"

	"github.com/spf13/cobra"
)

// deadlineFlag adds the flag --deadline.
func deadlineFlag(cmd *cobra.Command, deadline *time.Duration) {
	cmd.Flags().DurationVar(deadline, "deadline", 0, "how long to wait during an outage (default 30m)")
}
