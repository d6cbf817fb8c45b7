package ui

import (
	"errors"
	"io"
	"syscall"
)

// Output is a writer that records the first error. A reader that closes its pipe
// is not an error.
type Output struct {
	io.Writer
	// Err is the first error.
	Err error
}

func (o *Output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if o.Err == nil && !errors.Is(err, syscall.EPIPE) {
		o.Err = err
	}
	return n, err
}

// Behind returns the writer below those of this package.
func Behind(w io.Writer) io.Writer {
	switch wrapper := w.(type) {
	case *Output:
		return Behind(wrapper.Writer)
	case aboveWriter:
		return Behind(wrapper.out)
	case guard:
		return Behind(wrapper.out)
	}
	return w
}
