// Package pages finds the blocks of a page of the documentation, for the tests that run
// them.
package pages

import (
	"regexp"
	"strings"
)

// Block is the text between two fences of a page.
type Block struct {
	// Section is the heading above it, as "## The control worker\n".
	Section, Language, Text string
}

var (
	heading = regexp.MustCompile(`^#+ `)
	fence   = regexp.MustCompile("^```(.*)$")
)

// Blocks returns the blocks of a page, in their order.
func Blocks(page string) []Block {
	var blocks []Block
	var section string
	var open *Block
	for line := range strings.Lines(page) {
		fenced := fence.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		switch {
		case fenced != nil && open == nil:
			open = &Block{Section: section, Language: fenced[1]}
		case fenced != nil:
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.Text += line
		case heading.MatchString(line):
			section = line
		}
	}
	return blocks
}
