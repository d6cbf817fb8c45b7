package ui

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/metacircular/mcp/internal/fleet"
)

// Table is a table whose cells end at tabs, and whose rows are printed by Flush.
func Table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 4, 2, ' ', 0) }

// Moment renders a time in the local zone; "-" for the zero time.
func Moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// Usage renders how much is in use: "3.1 of 15.6 GiB (20 %)".
func Usage(u fleet.Usage) string {
	if u.Total == 0 {
		return "-"
	}
	const gib = 1 << 30
	return fmt.Sprintf("%.1f of %.1f GiB (%.0f %%)", float64(u.Used)/gib, float64(u.Total)/gib, u.Percent())
}

// Counted returns a number with its noun: "1 container", "2 containers".
func Counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// FirstLine returns the first line of a text.
func FirstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
