package codec

import "sync"

// maxTokens bounds how many activities' keys are remembered.
const maxTokens = 10_000

// tokens remember with which key the input of an activity was encrypted, by the token of
// its task: the answer uses the same key, so that whoever asked can read it, whatever
// the order in which the processes of a fleet get a new key. An input that was not
// encrypted has the key "".
type tokens struct {
	mu    sync.Mutex
	keys  map[string]string
	order []string // oldest first
}

func (t *tokens) put(token []byte, key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keys == nil {
		t.keys = map[string]string{}
	}
	if _, known := t.keys[string(token)]; !known {
		t.order = append(t.order, string(token))
	}
	t.keys[string(token)] = key
	for len(t.order) > maxTokens {
		delete(t.keys, t.order[0])
		t.order = t.order[1:]
	}
}

func (t *tokens) get(token []byte) (key string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key, ok = t.keys[string(token)]
	return key, ok
}
