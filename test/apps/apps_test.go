package apps_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestApplications runs all of them side by side, before and after a reboot of the node
// that they share.
func TestApplications(t *testing.T) {
	tests := []struct {
		name string
		new  func(*testing.T) application
	}{
		{"shop", newShop}, {"blog", newBlog}, {"monitoring", newMonitoring}, {"broker", newBroker},
	}
	apps := make([]application, len(tests))
	t.Run("deployed", func(t *testing.T) {
		for i, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				a := test.new(t)
				a.first(t)
				for range *updates {
					a.update(t)
				}
				apps[i] = a
			})
		}
	})
	require.False(t, t.Failed())
	require.NoError(t, shared.node.reboot(t.Context()))
	t.Run("rebooted", func(t *testing.T) {
		for i, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				apps[i].rebooted(t)
			})
		}
	})
}

// application is one of them.
type application interface {
	// first deploys it and uses it.
	first(*testing.T)
	// update updates it, has an update fail, and rolls back.
	update(*testing.T)
	// rebooted uses it after a reboot of its node, and undeploys it.
	rebooted(*testing.T)
}
