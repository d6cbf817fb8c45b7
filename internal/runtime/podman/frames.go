package podman

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
)

// The streams of a multiplexed response.
const (
	stderrStream = 2
	errorStream  = 3
)

// demultiplex calls each with the frames of a response and the stream of each
// frame, until the end or until each returns false.
func demultiplex(body io.Reader, each func(stream byte, frame []byte) bool) error {
	var header [8]byte
	var frame bytes.Buffer
	for {
		_, err := io.ReadFull(body, header[:])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		frame.Reset()
		size := int64(binary.BigEndian.Uint32(header[4:]))
		if _, err := io.CopyN(&frame, body, size); err != nil {
			return err
		}
		if header[0] == errorStream {
			return errors.New(strings.TrimSpace(frame.String()))
		}
		if !each(header[0], frame.Bytes()) {
			return nil
		}
	}
}
