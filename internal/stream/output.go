package stream

import (
	"encoding/json"
	"io"

	"github.com/metacircular/mcp/internal/fault"
)

// NextOutput returns the next lines of a stream of output, or a note. A Failure is
// returned as the error, and the end as io.EOF.
func (c *Call) NextOutput() (batch Batch, note Note, err error) {
	frame, err := c.Next()
	if err != nil {
		return batch, note, err
	}
	switch frame.Kind {
	case Lines:
		err = json.Unmarshal(frame.Data, &batch)
	case Notice:
		err = json.Unmarshal(frame.Data, &note)
	case Failure:
		return batch, note, frame.Fault()
	case Exit:
		return batch, note, io.EOF
	}
	if err != nil {
		err = fault.Wrap(fault.Invalid, err, "read %s", c.what)
	}
	return batch, note, err
}
