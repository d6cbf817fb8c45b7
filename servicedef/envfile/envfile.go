// Package envfile reads files of variables, in Compose's notation.
package envfile

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Error is a mistake in a file of variables.
type Error struct {
	Line int
	// Rule is what is wrong, without any part of a value.
	Rule  string
	shown string
}

// Error names the line, and may show a part of what is there.
func (e *Error) Error() string { return fmt.Sprintf("line %d: %s%s", e.Line, e.Rule, e.shown) }

// Parse reads the lines NAME=VALUE of a file of variables: an empty line or one that begins
// with # is ignored; "export " may stand before a name; a value in single quotes is taken
// as it is, one in double quotes may have \n, \r, \t, \", \\ and \$, and either may have
// several lines; " #" begins a comment after another value. Nothing is replaced in values.
// The error is an *Error if a line is wrong.
func Parse(text string) (map[string]string, error) {
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("is not a text of UTF-8")
	}
	env := map[string]string{}
	text = strings.ReplaceAll(strings.TrimPrefix(text, "\ufeff"), "\r\n", "\n")
	for line := 1; text != ""; {
		statement, rest, _ := strings.Cut(text, "\n")
		trimmed := strings.TrimSpace(statement)
		if trimmed == "" || trimmed[0] == '#' {
			text, line = rest, line+1
			continue
		}
		name, value, assigned := strings.Cut(strings.TrimLeft(text[:len(statement)], " \t"), "=")
		name = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), "export "))
		if !assigned || name == "" || strings.ContainsAny(name, " \t\"'") {
			return nil, &Error{Line: line, Rule: "must be NAME=VALUE", shown: fmt.Sprintf(", not %q", shortened(trimmed))}
		}
		value = strings.TrimLeft(value, " \t")
		if value == "" || value[0] != '\'' && value[0] != '"' {
			if comment := strings.Index(value, " #"); comment >= 0 {
				value = value[:comment]
			}
			env[name], text, line = strings.TrimSpace(value), rest, line+1
			continue
		}
		begin := strings.Index(text, "=") + 1
		begin += strings.IndexByte(text[begin:], value[0])
		unquoted, length, err := unquote(text[begin:])
		if err != nil {
			return nil, &Error{Line: line, Rule: name + ": " + err.Error()}
		}
		after, rest, _ := strings.Cut(text[begin+length:], "\n")
		if after = strings.TrimSpace(after); after != "" && after[0] != '#' {
			return nil, &Error{Line: line, Rule: name + ": something follows the closing quote", shown: fmt.Sprintf(": %q", shortened(after))}
		}
		env[name] = unquoted
		line += 1 + strings.Count(text[:begin+length], "\n")
		text = rest
	}
	for name, value := range env {
		if strings.ContainsRune(name+value, 0) {
			return nil, fmt.Errorf("%q has a NUL character", strings.ReplaceAll(name, "\x00", ""))
		}
	}
	return env, nil
}

// unquote returns the value in the quotes with which text begins, and its length in bytes,
// quotes included.
func unquote(text string) (value string, length int, err error) {
	quote := text[0]
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == quote:
			return b.String(), i + 1, nil
		case c == '\\' && quote == '"' && i+1 < len(text):
			i++
			switch text[i] {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case '"', '\\', '$':
				b.WriteByte(text[i])
			default:
				b.WriteByte('\\')
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, fmt.Errorf("the closing %c is missing", quote)
}

// shortened returns the part of a text that a message shows, without what may be a secret.
func shortened(text string) string {
	if name, _, assigned := strings.Cut(text, "="); assigned {
		text = name + "=…"
	}
	if len(text) > 40 {
		text = text[:40] + "…"
	}
	return text
}
