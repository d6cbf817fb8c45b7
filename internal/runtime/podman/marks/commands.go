package marks

import (
	"crypto/rand"
	"encoding/hex"
	"syscall"
	"time"
)

// Command identifies the processes of a command among this host's: each has it in a
// variable, which its children inherit.
type Command string

// NewCommand returns a mark that no other command has.
func NewCommand() Command {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return Command(hex.EncodeToString(b[:]))
}

// Variable returns the mark as an entry of the command's environment.
func (m Command) Variable() string { return "MCP_EXEC=" + string(m) }

// A process may not have begun when it is to get a signal, or may have ended.
const (
	signalTries = 20
	signalPause = 100 * time.Millisecond
)

// UntilSent calls send until it reports that it has sent a signal, a bounded number of
// times.
func (m Command) UntilSent(send func() bool) {
	for range signalTries {
		if send() {
			return
		}
		time.Sleep(signalPause)
	}
}

// HangUp sends SIGHUP to the processes of the command.
func (m Command) HangUp() {
	m.UntilSent(func() bool { return m.Signal(0, syscall.SIGHUP) })
}

// Signal sends a signal to the process of that number, or for 0 to all that have the mark,
// and reports whether there was one.
func (m Command) Signal(pid int, number syscall.Signal) (sent bool) {
	pids := []int{pid}
	if pid == 0 {
		pids = processes()
	}
	return signalEach(pids, m.marks, number)
}

func (m Command) marks(pid int) bool { return hasVariable(pid, m.Variable()) }
