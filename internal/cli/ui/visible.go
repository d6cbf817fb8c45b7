package ui

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns text with the characters that control a terminal, or the direction
// of its text, replaced by their escapes: "\x1b", "\r", "\u202e". So are bytes that
// are not UTF-8. Newlines and tabs stay, and a carriage return before a newline is
// removed. In JSON the result is still JSON.
func Visible(text string) string {
	if !controls(text) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == '\r' && strings.HasPrefix(text[i+1:], "\n"):
		case isControl(r):
			b.WriteString(escape(r))
		default:
			b.WriteString(text[i : i+size])
		}
		i += size
	}
	return b.String()
}

// controls reports whether Visible changes the text.
func controls(text string) bool {
	return !utf8.ValidString(text) || strings.ContainsFunc(text, isControl)
}

// isControl reports whether a terminal may obey a character instead of showing it.
func isControl(r rune) bool {
	switch r {
	case '\n', '\t':
		return false
	case '\u2028', '\u2029': // the ends of a line and of a paragraph
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

// escape returns a control character as Go and JSON write it. JSON has no escape of two
// digits, and its encoder leaves only characters from 0x7f on.
func escape(r rune) string {
	switch {
	case r == '\r':
		return `\r`
	case r < 0x20:
		return fmt.Sprintf(`\x%02x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// Cell returns text as a cell of a table: visible, without tabs and ends of lines, which
// would begin another cell or row, and of a hundred characters at most.
func Cell(text string) string {
	text = strings.NewReplacer("\n", `\n`, "\t", `\t`, "\v", `\v`, "\f", `\f`).Replace(text)
	text = Visible(text)
	const most = 100
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most-1]) + "…"
	}
	return text
}
