package node_test

import (
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/node"
)

func TestNotifyNeighbours(t *testing.T) {
	done := make(chan struct{})
	go func() { // on a thread in a separate network namespace, which ends with it
		defer close(done)
		runtime.LockOSThread()
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			t.Errorf("unshare the network: %v", err)
			return
		}
		for range 2 {
			if err := node.NotifyNeighbours(); err != nil {
				t.Error(err)
			}
			text, err := os.ReadFile("/proc/sys/net/ipv4/conf/all/arp_notify")
			if err != nil || string(text) != "1\n" {
				t.Errorf("arp_notify is %q: %v", text, err)
			}
		}
	}()
	<-done
	require.False(t, t.Failed())
}
