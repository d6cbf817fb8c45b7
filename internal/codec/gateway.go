package codec

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/metacircular/mcp/internal/fault"
)

// Words for whose keys a codec has, in errors.
const (
	thisProcess = "this process"
	theGateway  = "the gateway"
)

// AtGateway returns a codec of the same keys for a gateway, which encrypts and decrypts for
// clients that have none: see [Codec.Conn] and [Codec.Open]. No message has more than most
// bytes of payloads in the clear.
func (c *Codec) AtGateway(most int) *Codec {
	return &Codec{keys: c.keys, setting: c.setting + ", on the host of the gateway", place: theGateway, most: most}
}

// Behind returns the codec of a client of a gateway: the gateway has the keys, and the
// client's payloads are in the clear.
func Behind() *Codec { return &Codec{place: thisProcess, behind: true} }

// Conn returns a connection to Temporal that encrypts each request, and decrypts each
// answer, like a client with the codec.
func (c *Codec) Conn(to grpc.ClientConnInterface) grpc.ClientConnInterface { return conn{to, c} }

type conn struct {
	grpc.ClientConnInterface
	codec *Codec
}

// Invoke makes one call.
func (c conn) Invoke(ctx context.Context, method string, in, out any, o ...grpc.CallOption) error {
	return c.codec.exchange(ctx, method, in, out, func(ctx context.Context, method string, in, out any) error {
		return c.ClientConnInterface.Invoke(ctx, method, in, out, o...)
	})
}

// Open decrypts, in place, what a client of a gateway has encrypted itself, with keys that
// it does not need. What this process could not decrypt later is an error.
func (c *Codec) Open(ctx context.Context, request proto.Message) error {
	within := c.budget()
	err := visitPayloads(ctx, request, func(payloads []*common.Payload) ([]*common.Payload, error) {
		opened := make([]*common.Payload, len(payloads))
		for i, p := range payloads {
			var err error
			if opened[i], err = c.openSent(p, within); err != nil {
				return nil, err
			}
		}
		return opened, nil
	})
	if err != nil {
		return err
	}
	return openFailures(ctx, request)
}

// openSent decrypts one payload of a client.
func (c *Codec) openSent(p *common.Payload, within *budget) (*common.Payload, error) {
	if p == nil || !isEncrypted(p) {
		return p, nil
	}
	id := string(p.GetMetadata()[metaKey])
	if c.keys == nil {
		return nil, fault.New(fault.Unauthorized, "what it sends is encrypted with key %s, and the gateway has no encryption keys", clip(id))
	}
	if _, ok := c.keys.Find(id); !ok {
		return nil, fault.New(fault.Unauthorized, "what it sends is encrypted with key %s, which the gateway does not have: it has %s", clip(id), list(c.keys))
	}
	plain, refusal := c.open(p, within)
	switch {
	case refusal != nil:
		return nil, fault.Wrap(fault.Unauthorized, errors.New(refusal.Message), "what it sends is not decrypted")
	case isEncrypted(plain):
		return nil, fault.New(fault.Invalid, "what it sends is encrypted twice")
	}
	return plain, nil
}

// budget bounds what one message has in the clear, in bytes. Nil is no bound.
type budget struct{ left, most int }

func (c *Codec) budget() *budget {
	if c.most == 0 {
		return nil
	}
	return &budget{c.most, c.most}
}

// allows returns the most bytes that the next payload may have.
func (b *budget) allows() int {
	if b == nil {
		return maxPayload
	}
	return min(b.left, maxPayload)
}

func (b *budget) use(n int) {
	if b != nil {
		b.left -= n
	}
}

// String says what was exceeded.
func (b *budget) String() string {
	if b == nil {
		return fmt.Sprintf("a payload may have %d bytes", maxPayload)
	}
	return fmt.Sprintf("a message may have %d bytes", b.most)
}

// readRaw reads a history that Temporal gives as it is stored, in which no payload would
// be found.
func readRaw(reply proto.Message) error {
	r, ok := reply.(*workflowservice.GetWorkflowExecutionHistoryResponse)
	if !ok || len(r.GetRawHistory()) == 0 {
		return nil
	}
	read := &history.History{}
	for _, blob := range r.GetRawHistory() {
		if blob.GetEncodingType() != enums.ENCODING_TYPE_PROTO3 {
			return fault.New(fault.Invalid, "Temporal has a history encoded as %s, which this mcp does not read", blob.GetEncodingType())
		}
		var batch history.History
		if err := proto.Unmarshal(blob.GetData(), &batch); err != nil {
			return fault.Wrap(fault.Invalid, err, "read a history of Temporal's")
		}
		read.Events = append(read.Events, batch.GetEvents()...)
	}
	r.History, r.RawHistory = read, nil
	return nil
}
