package ui

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"
)

func TestVisible(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"plain, größer, 世界 👩‍💻", "plain, größer, 世界 👩‍💻"},
		{"two\nlines\tand a tab", "two\nlines\tand a tab"},
		{"a line of DOS\r\n", "a line of DOS\n"},
		{"good\revil", `good\revil`},
		{"\x1b]52;c;ZXZpbA==\a", `\x1b]52;c;ZXZpbA==\x07`},
		{"\u009b2J\x7f\u0085", `\u009b2J\u007f\u0085`},
		{"\u202eevil\u2066\u200f\u061c\u2028", `\u202eevil\u2066\u200f\u061c\u2028`},
		{"\x9b2J \xc3", `\x9b2J \xc3`},
		{"\x00", `\x00`},
	} {
		require.Equal(t, c.want, Visible(c.text), "%q", c.text)
	}
}

// What is printed as JSON on a terminal can be copied from there.
func TestVisibleJSONIsJSON(t *testing.T) {
	text := "\x1b[2J\u009b\u007f\u202e\r\n"
	encoded, err := json.Marshal(text)
	require.NoError(t, err)
	var decoded string
	require.NoError(t, json.Unmarshal([]byte(Visible(string(encoded))), &decoded))
	require.Equal(t, text, decoded)
}

// The lines of mcp itself have colours also behind a prefix and above live lines; what
// they quote has none.
func TestStyledLinesPassTheGuard(t *testing.T) {
	var terminal bytes.Buffer
	w := Prefixed(&sync.Mutex{}, (&Screen{}).Above(guard{&terminal}), "shop\x1b ")
	require.NoError(t, WriteStyled(w, Coloured("✓", ansi.Green)+" "+Plain("\x1b[31mred")+"\n"))
	_, err := io.WriteString(w, "\x1b[31mred\n")
	require.NoError(t, err)
	require.Equal(t, "shop\\x1b \x1b[32m✓\x1b[m \\x1b[31mred\nshop\\x1b \\x1b[31mred\n", terminal.String())
}
