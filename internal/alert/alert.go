package alert

// Message reports one event.
type Message struct {
	// ID is the same in each attempt to send the message, so that the receiver
	// can discard a repetition.
	ID string
	// Body is JSON.
	Body []byte
}
