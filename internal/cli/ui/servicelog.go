package ui

import (
	"fmt"
	"io"
	"log/slog"
)

// ServiceLog returns the log of a process that runs until it is stopped, for its
// supervisor. Format is "text" or "json"; debug adds what only a developer needs.
func ServiceLog(w io.Writer, format string, debug bool) (*slog.Logger, error) {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	if debug {
		o.Level = slog.LevelDebug
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, fmt.Errorf("--log-format is text or json, not %s", format)
}
