package ui

import (
	"io"

	"github.com/charmbracelet/x/ansi"
)

// Styled is text for a terminal, with mcp's own control sequences in it. All other
// text in it has passed Plain.
type Styled string

// Plain returns text without a style.
func Plain(text string) Styled { return Styled(Visible(text)) }

// Faint returns less prominent text.
func Faint(text string) Styled { return Styled(ansi.NewStyle().Faint().Styled(Visible(text))) }

// Coloured returns text in a colour.
func Coloured(text string, colour ansi.Color) Styled {
	return Styled(ansi.NewStyle().ForegroundColor(colour).Styled(Visible(text)))
}

// WriteStyled writes whole lines to w. A writer that is not one of this package, or
// a terminal behind one, has no styles and shows their sequences.
func WriteStyled(w io.Writer, text Styled) error {
	if styled, ok := w.(interface{ writeStyled(Styled) error }); ok {
		return styled.writeStyled(text)
	}
	_, err := io.WriteString(w, string(text))
	return err
}
