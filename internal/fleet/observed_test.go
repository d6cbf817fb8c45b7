package fleet_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fleet"
)

// containers returns n observed containers: 8 to a service, each service's of one
// image.
func containers(n int) fleet.Observed {
	hash := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	var all fleet.Observed
	for i := range n {
		service := fmt.Sprintf("service-%d", i/8)
		all = append(all, fleet.Container{
			Name: fmt.Sprintf("%s-%d", service, i), Service: service, Component: fmt.Sprint(i), Deployment: i, Spec: hash(fmt.Sprint("spec", i))[:16], Running: true,
			ID: hash(fmt.Sprint(i)), Image: "registry.example:5000/" + service + "@sha256:" + hash(service), Digest: "sha256:" + hash(service),
			State: "running", Started: time.Date(2026, 1, 2, 3, 4, i%60, i, time.UTC),
		})
	}
	return all
}

func TestAnObservationIsSmall(t *testing.T) {
	for n, most := range map[int]int{0: 100, 1: 600, 50: 6 << 10, 1000: 110 << 10, 10000: 1100 << 10} {
		sent := containers(n)
		text, err := json.Marshal(fleet.Observation{Node: "rift", Containers: sent})
		require.NoError(t, err)
		t.Logf("%d containers: %d bytes", n, len(text))
		require.Less(t, len(text), most, "%d containers", n)
		var got fleet.Observation
		require.NoError(t, json.Unmarshal(text, &got))
		require.Equal(t, sent, got.Containers)
	}
}

func TestMalformedContainersAreRefused(t *testing.T) {
	for _, text := range []string{`"x"`, `"aGVsbG8="`, `[]`, `"H4sIAAAAAAAA"`, `7`} {
		var got fleet.Observed
		require.Error(t, json.Unmarshal([]byte(text), &got), text)
	}
}
