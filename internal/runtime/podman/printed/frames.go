package printed

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

// Frames calls each with the frames of a response that has several streams, and with whether
// a frame is of standard error, until the end or until each returns false. A frame is valid
// until each returns. An error that podman sends among the frames is returned.
func Frames(body io.Reader, each func(stderr bool, frame []byte) bool) error {
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
		if !each(header[0] == stderrStream, frame.Bytes()) {
			return nil
		}
	}
}
