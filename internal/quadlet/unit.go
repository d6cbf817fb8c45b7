package quadlet

import (
	"encoding/json"
	"fmt"
	"strings"
)

// unit is a file of systemd.
type unit struct{ b strings.Builder }

func (u *unit) section(name string) {
	if u.b.Len() > 0 {
		u.b.WriteString("\n")
	}
	fmt.Fprintf(&u.b, "[%s]\n", name)
}

// set writes a setting, whose value has its quotes already.
func (u *unit) set(key, value string) { fmt.Fprintf(&u.b, "%s=%s\n", key, value) }

// argument writes a flag of podman run.
func (u *unit) argument(flag, value string) { u.set("PodmanArgs", flag+" "+word(value)) }

// String returns the file.
func (u *unit) String() string { return u.b.String() }

// words formats a command line as systemd splits it.
func words(list []string) string {
	quoted := make([]string, len(list))
	for i, text := range list {
		quoted[i] = word(text)
	}
	return strings.Join(quoted, " ")
}

// word formats one word of a command line: see systemd.syntax(7) and "Command lines" in
// systemd.service(5). "$" and "%" stand for themselves when they are doubled.
func word(text string) string {
	text = strings.ReplaceAll(specifiers(text), "$", "$$")
	if text != "" && !strings.ContainsFunc(text, special) {
		return text
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(text) {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// special reports whether a word with the character needs quotes.
func special(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune(`"'\;#`, r)
}

// specifiers doubles "%", which begins a specifier of systemd.
func specifiers(text string) string { return strings.ReplaceAll(text, "%", "%%") }

// jsonOf returns a command line as podman's flags take it.
func jsonOf(list []string) string {
	var b strings.Builder
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	_ = out.Encode(list) // texts always encode
	return strings.TrimSpace(b.String())
}
