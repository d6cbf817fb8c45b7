package runtime

// Missing is a kind of object that an engine can lack.
type Missing string

// The objects that a container needs and an engine can lack.
const (
	MissingSecret  Missing = "secret"
	MissingNetwork Missing = "network"
)

// MissingError reports that an engine does not have an object that a container needs: one
// that others make by hand, or that is lost. No retry provides it.
type MissingError struct {
	What Missing
	// Name is what the container calls it.
	Name string
	// Err is the engine's own error.
	Err error
}

func (e *MissingError) Error() string { return e.Err.Error() }

// Unwrap returns the engine's error.
func (e *MissingError) Unwrap() error { return e.Err }
