package stream

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// Kind is what a frame holds.
type Kind byte

// The frames of an operator.
const (
	// Input is bytes for the node.
	Input Kind = 1 + iota
	// InputEnd says that no Input follows.
	InputEnd
	// Resize is a [Size].
	Resize
	// Signal is the name of a signal, without "SIG".
	Signal

	lastOfOperator = Signal
)

// The frames of a node.
const (
	// Started is the first frame, unless that is a Failure.
	Started Kind = 64 + iota
	// Output and ErrorOutput are bytes of a command, a file or a connection.
	Output
	ErrorOutput
	// OutputEnd says that no Output follows, while Input may.
	OutputEnd
	// Lines is a [Batch].
	Lines
	// Notice is a [Note].
	Notice
	// Credit is how many bytes of Input the node has used, in four bytes.
	Credit
	// Exit is an exit code, in four bytes, and the end.
	Exit
	// Failure is a [fault.Error], and the end.
	Failure

	lastOfNode = Failure
)

const (
	// MaxFrame bounds the bytes that a frame holds.
	MaxFrame = 128 << 10
	// chunk is how many bytes of a longer write one frame takes.
	chunk = 32 << 10
	// inputWindow is how many bytes of Input may be on their way: fewer than a stream
	// takes, so that a signal is never behind input that a command does not read.
	inputWindow = 128 << 10
	// firstBuffer is the size of the buffer of a direction of a stream, until a longer frame
	// comes: most have nothing in one of them.
	firstBuffer = 512
	// frameHead is the size of what precedes the bytes: the kind and their number.
	frameHead = 5
)

// Frame is one part of a stream.
type Frame struct {
	Kind Kind
	// Data is valid until the next frame is read.
	Data []byte
}

// ends reports whether the frame is the last of a stream.
func (f Frame) ends() bool { return f.Kind == Exit || f.Kind == Failure }

// Code returns the exit code that an Exit holds.
func (f Frame) Code() int { return int(int32(binary.BigEndian.Uint32(f.Data))) }

// Fault returns the error that a Failure holds.
func (f Frame) Fault() *fault.Error { return decodeFault(f.Data) }

// exact are the sizes of frames that have only one, and most the bounds of those that
// may hold less than MaxFrame.
var (
	exact = map[Kind]uint32{InputEnd: 0, Resize: 4, Started: 0, OutputEnd: 0, Credit: 4, Exit: 4}
	most  = map[Kind]uint32{Signal: 16, Notice: 8 << 10}
)

// side says whose frames a stream brings.
type side struct {
	first, last Kind
	who         string
}

var (
	fromOperator = side{Input, lastOfOperator, "the operator"}
	fromNode     = side{Started, lastOfNode, "the node"}
)

// frameReader reads the frames of one side.
type frameReader struct {
	from   side
	source io.Reader
	buffer []byte // the last frame, with its head
}

// next reads a frame. The error is io.EOF if the stream has ended between two frames, and
// Invalid for a frame that does not belong there.
func (r *frameReader) next() (Frame, error) {
	if cap(r.buffer) < frameHead {
		r.buffer = make([]byte, frameHead, firstBuffer)
	}
	head := r.buffer[:frameHead]
	if _, err := io.ReadFull(r.source, head); err != nil {
		return Frame{}, err
	}
	kind, size := Kind(head[0]), binary.BigEndian.Uint32(head[1:])
	if err := r.check(kind, size); err != nil {
		return Frame{}, err
	}
	if whole := int(size) + frameHead; cap(r.buffer) < whole {
		r.buffer = append(make([]byte, 0, whole), head...)
	}
	r.buffer = r.buffer[:frameHead+int(size)]
	if _, err := io.ReadFull(r.source, r.buffer[frameHead:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	return Frame{kind, r.buffer[frameHead:]}, nil
}

// check returns an error if the side does not send such a frame.
func (r *frameReader) check(kind Kind, size uint32) error {
	wanted, isExact := exact[kind]
	limit, isBounded := most[kind]
	switch {
	case kind < r.from.first || kind > r.from.last:
		return fault.New(fault.Invalid, "%s sends a frame of the unknown kind %d", r.from.who, kind)
	case isExact && size != wanted:
		return fault.New(fault.Invalid, "%s sends a frame of the kind %d with %d bytes instead of %d", r.from.who, kind, size, wanted)
	case size > MaxFrame || isBounded && size > limit:
		return fault.New(fault.Invalid, "%s sends a frame of the kind %d with %d bytes, which is too long", r.from.who, kind, size)
	}
	return nil
}

// raw returns the last frame as it was read.
func (r *frameReader) raw() []byte { return r.buffer }

// encode appends a frame to a buffer.
func encode(to []byte, kind Kind, data []byte) []byte {
	to = append(to, byte(kind))
	to = binary.BigEndian.AppendUint32(to, uint32(len(data)))
	return append(to, data...)
}

// number returns the four bytes of a frame that holds a number.
func number(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(int32(n))) }

// Size is the size of a terminal, in characters.
type Size = runtime.TerminalSize

func encodeSize(s Size) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, s.Rows), s.Columns)
}

func decodeSize(data []byte) Size {
	return Size{Rows: binary.BigEndian.Uint16(data), Columns: binary.BigEndian.Uint16(data[2:])}
}

// encodeFault encodes an error for a frame, without what would make the frame too long.
func encodeFault(f *fault.Error) []byte {
	data, err := json.Marshal(f)
	if err != nil || len(data) > MaxFrame {
		short := fault.New(f.Kind, "%.2000s", f.Message).WithHint("%.2000s", f.Hint)
		short.Node, short.Component = f.Node, f.Component
		data, _ = json.Marshal(short) // strings
	}
	return data
}

// decodeFault returns the error in a Failure.
func decodeFault(data []byte) *fault.Error {
	var f fault.Error
	if err := json.Unmarshal(data, &f); err != nil || f.Message == "" || !f.Kind.Exists() {
		return fault.New(fault.Internal, "the stream has ended with an error that cannot be read")
	}
	return &f
}
