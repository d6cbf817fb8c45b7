package codec

import (
	"context"
	"slices"

	"go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/proto"
)

// KeysOf returns the names of the keys with which payloads of a message are encrypted,
// sorted, each once. The message is as Temporal has it.
func KeysOf(ctx context.Context, message proto.Message) ([]string, error) {
	var ids []string
	err := visitPayloads(ctx, message, func(payloads []*common.Payload) ([]*common.Payload, error) {
		for _, p := range payloads {
			if id := keyOf(p); id != "" {
				ids = append(ids, id)
			}
		}
		return payloads, nil
	})
	slices.Sort(ids)
	return slices.Compact(ids), err
}
