// Package envvalue reads and writes the values of environment variables, which may contain
// secrets: "postgres://app:{secret:db|urlencode}@db/app".
package envvalue

import (
	"fmt"
	"strings"

	"github.com/metacircular/mcp/servicedef/names"
)

const (
	secretMark = "secret:"
	// URLEncode is the filter that makes a value fit into any part of a URL.
	URLEncode = "urlencode"
)

// Part is a part of the value of a variable: a text, or a secret.
type Part struct {
	Text string
	// Secret is the name of the secret; "" for a text. URLEncode is set where its value is
	// encoded for a URL.
	Secret    string
	URLEncode bool
}

// Parse returns the parts of the value of a variable. {secret:NAME} stands for the
// value of a secret, and {secret:NAME|urlencode} for that value encoded for a URL. Of the
// braces before secret:, two stand for one brace: {{secret: is the text {secret:. Any other
// brace is text.
func Parse(value string) ([]Part, error) {
	var parts []Part
	var text strings.Builder
	for {
		i := strings.Index(value, "{"+secretMark)
		if i < 0 {
			break
		}
		begin := i
		for begin > 0 && value[begin-1] == '{' {
			begin--
		}
		braces := i + 1 - begin
		text.WriteString(value[:begin] + strings.Repeat("{", braces/2))
		value = value[i+1:]
		if braces%2 == 0 {
			text.WriteString(secretMark)
			value = value[len(secretMark):]
			continue
		}
		inner, rest, closed := strings.Cut(value[len(secretMark):], "}")
		if !closed {
			return nil, fmt.Errorf("has a {%s without the } at its end; {{%s is the text {%s", secretMark, secretMark, secretMark)
		}
		part, err := parseSecretPart(inner)
		if err != nil {
			return nil, err
		}
		if text.Len() > 0 {
			parts = append(parts, Part{Text: text.String()})
			text.Reset()
		}
		parts, value = append(parts, part), rest
	}
	text.WriteString(value)
	if text.Len() > 0 {
		parts = append(parts, Part{Text: text.String()})
	}
	return parts, nil
}

// parseSecretPart reads "NAME" or "NAME|urlencode".
func parseSecretPart(inner string) (Part, error) {
	name, filter, filtered := strings.Cut(inner, "|")
	switch {
	case !names.IsObject(name):
		return Part{}, fmt.Errorf("must name a secret in {%s…}, such as {%sdb}, not %q", secretMark, secretMark, name)
	case filtered && filter != URLEncode:
		return Part{}, fmt.Errorf("has the filter %q after %s, and the only one is %s", filter, name, URLEncode)
	}
	return Part{Secret: name, URLEncode: filtered}, nil
}

// Escape returns the value that stands for a text without secrets: Parse returns that text.
func Escape(text string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, "{"+secretMark)
		if i < 0 {
			return b.String() + text
		}
		begin := i
		for begin > 0 && text[begin-1] == '{' {
			begin--
		}
		b.WriteString(text[:begin] + strings.Repeat("{", 2*(i+1-begin)) + secretMark)
		text = text[i+1+len(secretMark):]
	}
}

// Secrets returns the names of the secrets in the values of variables.
func Secrets(env map[string]string) []string {
	var names []string
	for _, value := range env {
		parts, _ := Parse(value) // the rules refuse a value that cannot be read
		for _, part := range parts {
			if part.Secret != "" {
				names = append(names, part.Secret)
			}
		}
	}
	return names
}

// Plain divides variables into those whose values have no secrets, as a container gets
// them, and the parts of the others.
func Plain(env map[string]string) (plain map[string]string, composed map[string][]Part) {
	plain = make(map[string]string, len(env))
	for name, value := range env {
		parts, err := Parse(value)
		if err != nil { // a definition from before there were such values
			plain[name] = value
			continue
		}
		if !hasSecret(parts) {
			plain[name] = ""
			if len(parts) > 0 {
				plain[name] = parts[0].Text
			}
			continue
		}
		if composed == nil {
			composed = map[string][]Part{}
		}
		composed[name] = parts
	}
	return plain, composed
}

func hasSecret(parts []Part) bool {
	for _, part := range parts {
		if part.Secret != "" {
			return true
		}
	}
	return false
}

// Compose puts a value together from its parts. Value returns the value of a secret, which
// may be any text.
func Compose(parts []Part, value func(secret string) string) string {
	var text strings.Builder
	for _, part := range parts {
		switch {
		case part.Secret == "":
			text.WriteString(part.Text)
		case part.URLEncode:
			text.WriteString(urlEncoded(value(part.Secret)))
		default:
			text.WriteString(value(part.Secret))
		}
	}
	return text.String()
}

// urlEncoded encodes every byte that RFC 3986, 2.3, does not call unreserved: the result
// is a user, a password, a segment of a path or a value of a query.
func urlEncoded(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
