package signing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Podman checks signatures by two files of its own, whatever asks it to pull: its policy,
// policy.json, and a file in registries.d, which makes it look for cosign's signatures.

// manyKeys is the first version of podman whose policy takes several keys, of which one
// must have signed.
const manyKeys = "5.3"

// Policy adds the requirements to podman's policy, whose text is current; "" is one that
// accepts everything. Version is podman's, such as "4.3.1". It returns the text of the new
// policy, whether that differs in meaning, and the image registries of which an old podman
// accepts the first key alone.
func Policy(current []byte, required Requirements, version string) (text []byte, differs bool, firstAlone []string, err error) {
	policy := map[string]any{"default": []any{map[string]any{"type": "insecureAcceptAnything"}}}
	if len(bytes.TrimSpace(current)) > 0 {
		policy = nil
		if err := json.Unmarshal(current, &policy); err != nil || policy == nil {
			return nil, false, nil, fmt.Errorf("it is not a policy of podman: %w", err)
		}
	}
	transports, err := object(policy, "transports")
	if err != nil {
		return nil, false, nil, err
	}
	docker, err := object(transports, "docker")
	if err != nil {
		return nil, false, nil, err
	}
	for _, scope := range slices.Sorted(maps.Keys(required)) {
		files := required[scope]
		wanted := map[string]any{"type": "sigstoreSigned", "signedIdentity": map[string]any{"type": "matchRepository"}}
		switch {
		case len(files) == 1:
			wanted["keyPath"] = files[0]
		case older(version, manyKeys):
			wanted["keyPath"] = files[0]
			firstAlone = append(firstAlone, scope)
		default:
			wanted["keyPaths"] = anys(files)
		}
		if list := []any{wanted}; !reflect.DeepEqual(docker[scope], any(list)) {
			docker[scope], differs = list, true
		}
	}
	transports["docker"], policy["transports"] = docker, transports
	text, err = json.MarshalIndent(policy, "", "    ")
	return append(text, '\n'), differs, firstAlone, err
}

// object returns a member of a JSON object, which is empty if it is missing.
func object(of map[string]any, name string) (map[string]any, error) {
	value, found := of[name]
	if !found {
		return map[string]any{}, nil
	}
	member, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("it is not a policy of podman: %s is not an object", name)
	}
	return member, nil
}

func anys(list []string) []any {
	all := make([]any, len(list))
	for i, element := range list {
		all[i] = element
	}
	return all
}

// older compares the first two numbers of versions.
func older(version, than string) bool {
	have, want := numbers(version), numbers(than)
	return slices.Compare(have[:], want[:]) < 0
}

func numbers(version string) (n [2]int) {
	for i, part := range strings.SplitN(version, ".", 3) {
		if i < len(n) {
			n[i], _ = strconv.Atoi(part)
		}
	}
	return n
}

// Attachments returns the text of a file in registries.d.
func Attachments(required Requirements) []byte {
	var text bytes.Buffer
	text.WriteString("docker:\n")
	for _, scope := range slices.Sorted(maps.Keys(required)) {
		fmt.Fprintf(&text, "  %s:\n    use-sigstore-attachments: true\n", strconv.Quote(scope))
	}
	return text.Bytes()
}
