package law

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"

	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"github.com/metacircular/mcp/internal/identity"
)

// startKind is a type of workflow that clients start.
type startKind struct {
	roles []identity.Role
	// lasts is set for a workflow that changes containers: it ends by itself, so that it
	// can put back what it has changed.
	lasts bool
	// announces is set for the announcement of a node or an edge: the next one may
	// terminate it.
	announces bool
	// read decodes the input, and returns what the workflow is about, and the input as it
	// is passed on.
	read func(*call, *common.Payloads) (subject, *common.Payloads, error)
}

func (k startKind) isFor(role identity.Role) bool { return slices.Contains(k.roles, role) }

func (k startKind) lasting() startKind { k.lasts = true; return k }

func (k startKind) announcing() startKind { k.announces = true; return k }

// of is a type of workflow that takes an In. About may change the input, which is passed on
// as it then is: what was judged is what the workflow gets, without duplicate or unknown
// fields.
func of[In any](about func(c *call, in *In) subject, roles ...identity.Role) startKind {
	read := func(c *call, given *common.Payloads) (subject, *common.Payloads, error) {
		if len(given.GetPayloads()) != 1 {
			return subject{}, nil, c.refused(Unreadable, "it has %d inputs in place of one", len(given.GetPayloads()))
		}
		var in In
		if err := strictly(given.GetPayloads()[0], &in); err != nil {
			return subject{}, nil, c.refused(Unreadable, "%v", err).hint("%s", c.upgrade("sends it"))
		}
		found := about(c, &in)
		payload, err := encode(in)
		if err != nil {
			return subject{}, nil, fmt.Errorf("encode an input: %w", err)
		}
		return found, &common.Payloads{Payloads: []*common.Payload{payload}}, nil
	}
	return startKind{roles: roles, read: read}
}

// bare is a type of workflow that takes no input.
func bare(about subject, roles ...identity.Role) startKind {
	read := func(c *call, given *common.Payloads) (subject, *common.Payloads, error) {
		for _, payload := range given.GetPayloads() {
			if len(payload.GetData()) > 0 {
				return subject{}, nil, c.refused(Unreadable, "it takes no input")
			}
		}
		return about, nil, nil
	}
	return startKind{roles: roles, read: read}
}

// strictly decodes JSON, and fails for a field that In does not have.
func strictly(payload *common.Payload, in any) error {
	if encoding := string(payload.GetMetadata()[converter.MetadataEncoding]); encoding != converter.MetadataEncodingJSON {
		return fmt.Errorf("its input is encoded as %.40q in place of %s", encoding, converter.MetadataEncodingJSON)
	}
	if key := unknownKey(payload.GetData(), reflect.TypeOf(in)); key != "" {
		return fmt.Errorf("its input has the field %.200q, which this gateway does not know", key)
	}
	decoder := json.NewDecoder(bytes.NewReader(payload.GetData()))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(in); err != nil {
		return fmt.Errorf("its input is not understood: %w", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("its input has something behind its end")
	}
	return nil
}
