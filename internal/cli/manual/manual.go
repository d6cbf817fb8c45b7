// Command manual writes a man page for each command of mcp, where mcp is
// installed. Its tests keep docs/commands.md and docs/schemas up to date.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/metacircular/mcp/internal/cli"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: manual DIRECTORY")
		os.Exit(2)
	}
	if err := writePages(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}

// writePages writes the man pages into a directory.
func writePages(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of man pages: %w", err)
	}
	return doc.GenManTree(commands(), &doc.GenManHeader{Section: "1", Source: "mcp", Manual: "mcp"}, dir)
}

// commands returns mcp's commands.
func commands() *cobra.Command {
	app := &cli.App{Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }}
	root := app.Root()
	root.DisableAutoGenTag = true // no date: the same commands give the same pages
	return root
}
