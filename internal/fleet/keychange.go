package fleet

import "fmt"

// KeyChanged is the event of a node whose key for secrets is another than before.
func KeyChanged(before, after string) Drift {
	if after == "" {
		return Drift{Kind: EventKeyChanged, Detail: fmt.Sprintf("the node has no key any more; it had %s", before)}
	}
	return Drift{Kind: EventKeyChanged, Detail: fmt.Sprintf("the node announces another key for secrets: %s instead of %s; what was sealed to that it cannot open", after, before)}
}
