package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli"
)

const opening = `# Commands

Written from the commands themselves, by ` + "`make reference`" + `. ` + "`mcp help VERB`" + ` says the
same, and ` + "`make man`" + ` writes it as man pages.

`

const exitCodes = `
## Exit codes

| code | meaning |
| --- | --- |
| 0 | done, or nothing to do |
| 1 | failed, and everything put back |
| 2 | bad usage or definition |
| 3 | failed, and something could not be put back: the service is *dirty* |
| 4 | the control plane cannot be reached |
| 5 | ` + "`exec`" + ` was given input and ran nothing, or its output is cut |
| 130 | interrupted; a deploy that was followed goes on |
`

// reference is a page of all commands, in Markdown.
func reference(root *cobra.Command) string {
	var index, sections strings.Builder
	each(root, func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		fmt.Fprintf(&index, "- [`%s`](#%s): %s\n", path, strings.ReplaceAll(path, " ", "-"), cmd.Short)
		sections.WriteString(section(cmd))
	})
	everywhere := "\n## Flags of every command\n\n" + block(root.PersistentFlags().FlagUsages())
	return opening + index.String() + everywhere + exitCodes + sections.String()
}

// each visits the commands that do something, in the order of their names. One
// with subcommands does so itself where it has an example.
func each(cmd *cobra.Command, visit func(*cobra.Command)) {
	if cmd.HasExample() || !cmd.HasSubCommands() {
		visit(cmd)
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			each(sub, visit)
		}
	}
}

// section documents one command.
func section(cmd *cobra.Command) string {
	cmd.InitDefaultHelpFlag()
	text := fmt.Sprintf("\n## %s\n\n%s.\n\n%s", cmd.CommandPath(), cmd.Short, block(cmd.UseLine()))
	if cmd.Long != "" {
		text += "\n" + strings.TrimSpace(cmd.Long) + "\n"
	}
	if cmd.HasExample() {
		text += "\nFor example:\n\n" + block(cmd.Example)
	}
	if cmd.HasAvailableLocalFlags() {
		text += "\nFlags:\n\n" + block(cmd.LocalFlags().FlagUsages())
	}
	if cli.Results()[verbOf(cmd)] != nil {
		text += fmt.Sprintf("\nWhat it prints with `--json`: [schemas/%[1]s](schemas/%[1]s).\n", schemaFile(verbOf(cmd)))
	}
	return text
}

// block sets lines as they are.
func block(text string) string {
	return "```\n" + strings.TrimRight(text, "\n") + "\n```\n"
}
