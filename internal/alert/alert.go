// Package alert carries what has happened to where somebody will notice: a
// webhook or a command.
package alert

// Message is one thing that has happened.
type Message struct {
	// ID is the same each time that the message is sent: whoever has seen it
	// may leave out the second one.
	ID string
	// Body is JSON.
	Body []byte
}
