// Command manual writes what the commands say of themselves: man pages, which
// are made where mcp is installed, and docs/commands.md.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/metacircular/mcp/internal/cli"
)

func main() {
	pages := flag.String("man", "", "the directory to write man pages to")
	flag.Parse()
	if err := run(*pages, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "manual:", err)
		os.Exit(1)
	}
}

// run writes man pages, or the reference where no directory is given.
func run(pages string, out io.Writer) error {
	if pages == "" {
		_, err := io.WriteString(out, reference(commands()))
		return err
	}
	if err := os.MkdirAll(pages, 0o755); err != nil {
		return fmt.Errorf("make the directory of man pages: %w", err)
	}
	header := &doc.GenManHeader{Title: "MCP", Section: "1", Source: "mcp", Manual: "mcp"}
	return doc.GenManTree(commands(), header, pages)
}

// commands are mcp's.
func commands() *cobra.Command {
	app := &cli.App{Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }}
	root := app.Root()
	root.DisableAutoGenTag = true // no date: the same commands give the same pages
	return root
}
