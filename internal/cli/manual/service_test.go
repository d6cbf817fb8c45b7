package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The example holds every key, as a test of servicedef's checks, and what each
// means; the page is made of it.
func TestTheServicePageIsOfTheExample(t *testing.T) {
	example, err := os.ReadFile(filepath.Join(docs, "service.example.toml"))
	require.NoError(t, err)
	requireFile(t, filepath.Join(docs, "service.md"), servicePage(string(example)))
}

const serviceOpening = `# The service file

Generated from [service.example.toml](service.example.toml) by ` + "`make reference`" + `: one TOML
file per service, in the directory that ` + "`services`" + ` in ` + "`mcp.toml`" + ` names. A key with a
default may be left out; an unknown key is an error. ` + "`mcp service check FILE`" + ` reports
every mistake at once, by line and key, and ` + "`mcp plan SERVICE`" + ` shows what a deploy would change.
`

var (
	tableLine = regexp.MustCompile(`^\[+([a-z._-]+)\]+$`)
	keyLine   = regexp.MustCompile(`^(?:# )?([A-Za-z0-9_-]+) = (.*)$`)
	aside     = regexp.MustCompile(`^(.*\S)\s+# (.*)$`)
)

// tableOf is one table of the example: what is said of it, and a row for each
// key, or for several that share an entry.
type tableOf struct {
	heading, said string
	rows          []string
	keys          map[string]bool
}

// servicePage is a table of the keys for each table of the example, each key
// as it is where it comes first.
func servicePage(example string) string {
	_, body, _ := strings.Cut(example, "\n\n") // after the file's own comment
	table := &tableOf{heading: "The service", keys: map[string]bool{}}
	tables, order := map[string]*tableOf{}, []*tableOf{table}
	var keys, comment []string
	flush := func() {
		if len(keys) > 0 {
			cells := strings.NewReplacer("|", `\|`) // a bar ends a cell, in code too
			table.rows = append(table.rows, fmt.Sprintf("| %s | %s |\n", cells.Replace(strings.Join(keys, "<br>")), cells.Replace(strings.Join(comment, " "))))
		}
		keys, comment = nil, nil
	}
	for _, line := range strings.Split(body, "\n") {
		isTable, isKey := tableLine.FindStringSubmatch(line), keyLine.FindStringSubmatch(line)
		switch {
		case isTable != nil:
			said := strings.Join(comment, " ")
			if len(keys) > 0 {
				said = ""
			}
			flush()
			if tables[isTable[1]] == nil {
				tables[isTable[1]] = &tableOf{heading: "`" + line + "`", said: said, keys: map[string]bool{}}
				order = append(order, tables[isTable[1]])
			}
			table = tables[isTable[1]]
		case isKey != nil && table.keys[isKey[1]]:
			flush()
		case isKey != nil:
			table.keys[isKey[1]] = true
			text := strings.TrimPrefix(line, "# ")
			if said := aside.FindStringSubmatch(text); said != nil && strings.HasPrefix(line, "#") {
				flush()
				text, comment = said[1], []string{"or: " + said[2]}
			}
			keys = append(keys, "`"+text+"`")
		case line == "" || strings.HasPrefix(line, "# ---"):
			flush()
		default:
			if len(keys) > 0 {
				flush()
			}
			comment = append(comment, strings.TrimPrefix(line, "# "))
		}
	}
	flush()
	page := serviceOpening
	for _, t := range order {
		page += "\n## " + t.heading + "\n\n"
		if t.said != "" {
			page += t.said + "\n\n"
		}
		page += "| key | meaning |\n| --- | --- |\n" + strings.Join(t.rows, "")
	}
	return page
}
