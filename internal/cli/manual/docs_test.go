package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
)

const docs = "../../../docs"

// pages returns the text of each page of the documentation, by file name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "*/*.md", "../*.md"} {
		files, err := filepath.Glob(filepath.Join(docs, pattern))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			texts[file] = string(text)
		}
	}
	return texts
}

func TestEveryKindOfErrorHasItsSection(t *testing.T) {
	text := pages(t)[filepath.Join(docs, "troubleshooting.md")]
	for _, kind := range fault.Kinds() {
		require.Contains(t, text, "\n## "+string(kind)+"\n")
	}
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	for page, text := range pages(t) {
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`).FindAllStringSubmatch(text, -1) {
			_, err := os.Stat(filepath.Join(filepath.Dir(page), link[1]))
			require.NoError(t, err, page)
		}
	}
}

// Commands that the pages show are commands that there are, with their flags.
func TestTheDocsNameCommandsThatExist(t *testing.T) {
	shown := regexp.MustCompile("(?m)(?:^\\$ |`|\\$\\()mcp ([a-z][^`|>)…\n]*)")
	for page, text := range pages(t) {
		if filepath.Base(page) == "commands.md" {
			continue // it is made of them
		}
		for _, line := range shown.FindAllStringSubmatch(text, -1) {
			requireCommand(t, page, line[1])
		}
	}
}

func requireCommand(t *testing.T, page, line string) {
	t.Helper()
	words := strings.Fields(strings.NewReplacer("[", " ", "]", " ").Replace(line))
	if words[0] == "help" {
		return
	}
	cmd, rest, err := commands().Find(words)
	require.NoError(t, err, "%s: mcp %s", page, line)
	cmd.InheritedFlags()
	for _, word := range rest {
		if word == "--" {
			return // the rest is another program's command
		}
		name, isFlag := strings.CutPrefix(word, "--")
		if isFlag && name != "help" {
			name, _, _ = strings.Cut(strings.TrimRight(name, ".,;"), "=")
			require.NotNil(t, cmd.Flag(name), "%s: mcp %s: there is no --%s", page, line, name)
		}
	}
}
