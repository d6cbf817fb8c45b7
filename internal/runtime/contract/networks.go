package contract

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// network creates a network, which is removed at the end of the test.
func (s *suite) network(t *testing.T, name string) runtime.NetworkInfo {
	t.Helper()
	t.Cleanup(func() { require.NoError(t, s.Runtime.RemoveNetwork(context.WithoutCancel(t.Context()), name)) })
	info, err := s.Runtime.CreateNetwork(t.Context(), runtime.NetworkSpec{
		Name: name, Labels: map[string]string{runtime.LabelService: "contract"},
	})
	require.NoError(t, err)
	return info
}

// addressOn returns an address of a network.
func addressOn(n runtime.NetworkInfo, host int) netip.Addr {
	address := n.Subnet.Masked().Addr()
	for range host {
		address = address.Next()
	}
	return address
}

func (s *suite) testNetworks(t *testing.T) {
	t.Run("a network has its labels and a subnet, and is found by its name alone", func(t *testing.T) {
		created := s.network(t, "contract-net")
		require.Equal(t, "bridge", created.Driver)
		require.Equal(t, map[string]string{runtime.LabelService: "contract"}, created.Labels)
		require.Equal(t, 24, created.Subnet.Bits())
		require.True(t, created.Subnet.Contains(created.Gateway))
		found, err := s.Runtime.Network(t.Context(), "contract-net")
		require.NoError(t, err)
		require.Equal(t, created, found)
		_, err = s.Runtime.Network(t.Context(), "contract-ne")
		require.True(t, fault.Is(err, fault.NotFound), err)
		_, err = s.Runtime.CreateNetwork(t.Context(), runtime.NetworkSpec{Name: "contract-net"})
		require.True(t, fault.Is(err, fault.Conflict), err)
	})

	t.Run("a network that is gone can be made anew with its addresses", func(t *testing.T) {
		former := s.network(t, "contract-again")
		require.NoError(t, s.Runtime.RemoveNetwork(t.Context(), "contract-again"))
		_, err := s.Runtime.Network(t.Context(), "contract-again")
		require.True(t, fault.Is(err, fault.NotFound), err)
		again, err := s.Runtime.CreateNetwork(t.Context(), runtime.NetworkSpec{Name: "contract-again", Subnet: former.Subnet})
		require.NoError(t, err)
		require.Equal(t, former.Subnet, again.Subnet)
		require.Equal(t, former.Gateway, again.Gateway)
	})

	t.Run("removing a missing network is no error, and one in use is a Conflict and stays", func(t *testing.T) {
		require.NoError(t, s.Runtime.RemoveNetwork(t.Context(), "contract-missing"))
		n := s.network(t, "contract-used")
		spec := s.spec(t, "contract-user")
		spec.Networks = []runtime.Attachment{{Network: n.Name, Address: addressOn(n, 9)}}
		s.run(t, spec)
		for range 2 {
			err := s.Runtime.RemoveNetwork(t.Context(), n.Name)
			require.True(t, fault.Is(err, fault.Conflict), err)
			require.NoError(t, s.Runtime.Stop(t.Context(), spec.Name, 0)) // it has the network even so
		}
		require.NoError(t, s.Runtime.Remove(t.Context(), spec.Name))
	})

	t.Run("a container on a network that does not exist is Invalid", func(t *testing.T) {
		spec := s.spec(t, "contract-nowhere")
		spec.Networks = []runtime.Attachment{{Network: "contract-missing"}}
		_, err := s.Runtime.Run(t.Context(), spec)
		require.True(t, fault.Is(err, fault.Invalid), err)
		require.ErrorContains(t, err, "contract-missing")
	})

	t.Run("inspect, list and summaries name the networks of a container", func(t *testing.T) {
		one, two := s.network(t, "contract-one"), s.network(t, "contract-two")
		spec := s.spec(t, "contract-both")
		spec.Networks = []runtime.Attachment{{Network: two.Name}, {Network: one.Name, Address: addressOn(one, 7)}}
		s.run(t, spec)
		want := []string{one.Name, two.Name}
		info := s.inspect(t, spec.Name)
		require.Equal(t, want, info.Networks)
		require.Equal(t, addressOn(one, 7), info.Addresses[one.Name])
		summaries, err := s.Runtime.Summaries(t.Context(), runtime.Selection{Names: []string{spec.Name}})
		require.NoError(t, err)
		require.Len(t, summaries, 1)
		require.Equal(t, want, slices.Sorted(slices.Values(summaries[0].Networks)))
	})

	t.Run("a container has its address and its hosts file through stops and restarts", func(t *testing.T) {
		if !s.Reachable {
			t.Log("the engine has no containers to ask")
			return
		}
		n := s.network(t, "contract-hosts")
		file := filepath.Join(t.TempDir(), "hosts")
		require.NoError(t, os.WriteFile(file, []byte("127.0.0.1 localhost\n192.0.2.1 db\n"), 0o644))
		spec := s.spec(t, "contract-named")
		spec.Networks = []runtime.Attachment{{Network: n.Name, Address: addressOn(n, 11), Aliases: []string{"api"}}}
		spec.Hosts = file
		s.run(t, spec)
		require.Empty(t, s.inspect(t, spec.Name).Volumes)
		resolved := func(name string) string {
			result, err := s.Runtime.Exec(t.Context(), spec.Name, []string{"/app", "resolve", name})
			require.NoError(t, err)
			require.Zero(t, result.ExitCode, string(result.Stderr))
			return strings.TrimSpace(string(result.Stdout))
		}
		answers := func() {
			require.Eventually(t, func() bool { // once the program listens
				conn, err := net.DialTimeout("tcp", net.JoinHostPort(addressOn(n, 11).String(), "8080"), 10*time.Second)
				return err == nil && conn.Close() == nil
			}, time.Minute, 50*time.Millisecond)
		}
		answers()
		require.Equal(t, "192.0.2.1", resolved("db"))

		text := []byte("127.0.0.1 localhost\n192.0.2.2 db\n192.0.2.3 db\n")
		hosts, err := os.OpenFile(file, os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = hosts.Write(text)
		require.NoError(t, err)
		require.NoError(t, hosts.Close())
		require.Equal(t, "192.0.2.2 192.0.2.3", resolved("db"))

		require.NoError(t, s.Runtime.Stop(t.Context(), spec.Name, 0))
		other := s.spec(t, "contract-other")
		other.Networks = []runtime.Attachment{{Network: n.Name, Address: addressOn(n, 12)}}
		s.run(t, other)
		require.NoError(t, s.Runtime.Start(t.Context(), spec.Name))
		require.Eventually(t, func() bool {
			conn, err := net.DialTimeout("tcp", net.JoinHostPort(addressOn(n, 11).String(), "8080"), time.Second)
			return err == nil && conn.Close() == nil
		}, 20*time.Second, 20*time.Millisecond)
		require.Equal(t, "192.0.2.2 192.0.2.3", resolved("db"))
	})
}
