package secret

import (
	"os"

	"golang.org/x/sys/unix"
)

// hidden reports whether a terminal does not show what is typed.
func hidden(tty *os.File) bool {
	state, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	return err == nil && state.Lflag&unix.ECHO == 0
}
