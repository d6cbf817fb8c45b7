package contract

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/servicedef"
)

func (s *suite) testRun(t *testing.T) {
	t.Run("a container runs and answers on its published port", func(t *testing.T) {
		port := freePort(t)
		spec := s.spec(t, "contract-serves")
		spec.Ports = []servicedef.Port{{IP: "127.0.0.1", Host: port, Container: 8080, Protocol: "tcp"}}
		s.run(t, spec)
		info := s.inspect(t, spec.Name)
		require.Equal(t, spec.Ports, info.Ports)
		if s.Reachable {
			requireAnswer(t, port)
		}
	})

	t.Run("a second run returns the same container", func(t *testing.T) {
		spec := s.spec(t, "contract-twice")
		first := s.run(t, spec)
		require.Equal(t, first, s.run(t, spec))

		require.NoError(t, s.Runtime.Stop(t.Context(), spec.Name, time.Second))
		require.Equal(t, first, s.run(t, spec))
		require.Equal(t, runtime.Running, s.inspect(t, spec.Name).State)
	})

	t.Run("concurrent runs with one spec return the same container", func(t *testing.T) {
		spec := s.spec(t, "contract-race")
		ids, errs := make([]string, 4), make([]error, 4)
		var all sync.WaitGroup
		for i := range ids {
			all.Go(func() { ids[i], errs[i] = s.Runtime.Run(t.Context(), spec) })
		}
		all.Wait()
		for i := range ids {
			require.NoError(t, errs[i])
			require.Equal(t, ids[0], ids[i])
		}
	})

	t.Run("a container of the same name with other labels is a Conflict, and stays", func(t *testing.T) {
		spec := s.spec(t, "contract-conflict")
		first := s.run(t, spec)
		for _, other := range []map[string]string{labels("2", "a"), labels("1", "b"), nil} {
			spec.Labels = other
			_, err := s.Runtime.Run(t.Context(), spec)
			require.Contains(t, requireKind(t, fault.Conflict, err).Message, spec.Name)
		}
		require.Equal(t, first, s.inspect(t, spec.Name).ID)
	})

	t.Run("a container with the same labels and other ports is replaced", func(t *testing.T) {
		spec := s.spec(t, "contract-ports")
		publish := func(address string, ports ...int) {
			spec.Ports = nil
			for i, port := range ports {
				spec.Ports = append(spec.Ports, servicedef.Port{IP: address, Host: port, Container: 8080 + i, Protocol: "tcp"})
			}
		}
		a, b := freePort(t), freePort(t)
		last := s.run(t, spec)
		for _, change := range []func(){
			func() { publish("127.0.0.1", a) },
			func() { publish("127.0.0.1", b) },
			func() { publish("127.0.0.1", max(a, b), min(a, b)) },
			func() { publish("", b) },
			func() { publish("") },
		} {
			change()
			replaced := s.run(t, spec)
			require.NotEqual(t, last, replaced, "ports %v", spec.Ports)
			require.Equal(t, replaced, s.run(t, spec), "the ports are the same, and so is the container")
			last = replaced
		}
		spec.Labels = labels("2", "a")
		publish("127.0.0.1", a)
		_, err := s.Runtime.Run(t.Context(), spec)
		requireKind(t, fault.Conflict, err)
		require.Equal(t, last, s.inspect(t, spec.Name).ID)
	})

	t.Run("a cancelled run returns the context's error and leaves no container", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		spec := s.spec(t, "contract-cancelled")
		_, err := s.Runtime.Run(ctx, spec)
		require.ErrorIs(t, err, context.Canceled)
		s.requireAbsent(t, spec.Name)
	})
}

// testRefused runs specs that cannot start. None leaves a container behind.
func (s *suite) testRefused(t *testing.T) {
	cases := []struct {
		name   string
		change func(*runtime.ContainerSpec)
		kind   fault.Kind
		lacks  string
	}{
		{"a missing image is NotFound", func(c *runtime.ContainerSpec) { c.Image = s.Registry + "/contract/absent:v1" }, fault.NotFound, ""},
		{"a missing digest is NotFound", func(c *runtime.ContainerSpec) {
			c.Image = s.Registry + "/contract/app@sha256:1111111111111111111111111111111111111111111111111111111111111111"
		}, fault.NotFound, ""},
		{"a missing secret is Invalid", func(c *runtime.ContainerSpec) { c.Secrets = []servicedef.Secret{{Source: "nosuchsecret"}} }, fault.Invalid, "secret nosuchsecret"},
		{"a variable from a missing secret is Invalid", func(c *runtime.ContainerSpec) { c.SecretEnv = map[string]string{"KEY": "nosuchsecret"} }, fault.Invalid, "secret nosuchsecret"},
		{"an unknown user is Invalid", func(c *runtime.ContainerSpec) { c.User = "nosuchuser" }, fault.Invalid, ""},
		{"a command that is not in the image is Invalid", func(c *runtime.ContainerSpec) { c.Command = []string{"/nosuchcommand"} }, fault.Invalid, ""},
		{"a missing network is Invalid", func(c *runtime.ContainerSpec) { c.Networks = []runtime.Attachment{{Network: "nosuchnetwork"}} }, fault.Invalid, "network nosuchnetwork"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			spec := s.spec(t, "contract-refused")
			c.change(&spec)
			_, err := s.Runtime.Run(t.Context(), spec)
			requireKind(t, c.kind, err)
			s.requireAbsent(t, spec.Name)
			var lacks *runtime.MissingError
			require.Equal(t, c.lacks != "", errors.As(err, &lacks), err)
			if c.lacks != "" {
				require.Equal(t, c.lacks, string(lacks.What)+" "+lacks.Name)
			}
		})
	}

	t.Run("a host port that another container holds is PortInUse, and the error names it", func(t *testing.T) {
		port := freePort(t)
		holder, late := s.spec(t, "contract-holder"), s.spec(t, "contract-late")
		holder.Ports = []servicedef.Port{{IP: "127.0.0.1", Host: port, Container: 8080, Protocol: "tcp"}}
		other := freePort(t)
		late.Ports = append([]servicedef.Port{{IP: "127.0.0.1", Host: other, Container: 8081, Protocol: "tcp"}}, holder.Ports...)
		s.run(t, holder)
		_, err := s.Runtime.Run(t.Context(), late)
		found := requireKind(t, fault.PortInUse, err)
		require.Equal(t, port, found.Port)
		require.Contains(t, found.Message, fmt.Sprint(port))
		s.requireAbsent(t, late.Name)
		require.Equal(t, runtime.Running, s.inspect(t, holder.Name).State)
	})

	t.Run("a host port that another program holds is PortInUse, and the error names it", func(t *testing.T) {
		if !s.Reachable {
			return // the fake binds no ports; TakePort has a separate test
		}
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", freePort(t)))
		require.NoError(t, err)
		defer listener.Close()
		port := listener.Addr().(*net.TCPAddr).Port
		spec := s.spec(t, "contract-taken")
		spec.Ports = []servicedef.Port{{IP: "127.0.0.1", Host: port, Container: 8080, Protocol: "tcp"}}
		_, err = s.Runtime.Run(t.Context(), spec)
		require.Equal(t, port, requireKind(t, fault.PortInUse, err).Port)
		s.requireAbsent(t, spec.Name)
	})
}

func (s *suite) requireAbsent(t *testing.T, name string) {
	t.Helper()
	_, err := s.Runtime.Inspect(t.Context(), name)
	requireKind(t, fault.NotFound, err)
}

// requireAnswer waits until a port of this host answers 200 OK.
func requireAnswer(t *testing.T, port int) {
	t.Helper()
	require.Eventually(t, func() bool {
		response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, 10*time.Second, 20*time.Millisecond)
}

func (s *suite) testLifecycle(t *testing.T) {
	t.Run("stop, start and remove may each be called twice", func(t *testing.T) {
		spec := s.spec(t, "contract-cycle", "/app", "print", "ready")
		id := s.run(t, spec)
		s.awaitLogs(t, spec.Name, []string{"ready"}) // before that, the signal would kill it
		for range 2 {
			require.NoError(t, s.Runtime.Stop(t.Context(), spec.Name, 5*time.Second))
			require.Equal(t, runtime.Stopped, s.inspect(t, spec.Name).State)
		}
		require.Zero(t, s.inspect(t, spec.Name).ExitCode, "it stopped on request")
		for range 2 {
			require.NoError(t, s.Runtime.Start(t.Context(), spec.Name))
			require.Equal(t, runtime.Running, s.inspect(t, spec.Name).State)
		}
		require.Equal(t, id, s.inspect(t, spec.Name).ID)
		for range 2 {
			require.NoError(t, s.Runtime.Remove(t.Context(), spec.Name))
			s.requireAbsent(t, spec.Name)
		}
	})

	t.Run("a missing container may be stopped and removed, but not started, renamed or read", func(t *testing.T) {
		require.NoError(t, s.Runtime.Stop(t.Context(), "contract-absent", time.Second))
		require.NoError(t, s.Runtime.Remove(t.Context(), "contract-absent"))
		requireKind(t, fault.NotFound, s.Runtime.Start(t.Context(), "contract-absent"))
		requireKind(t, fault.NotFound, s.Runtime.Rename(t.Context(), "contract-absent", "contract-other"))
		_, err := s.logs(t, "contract-absent", runtime.LogQuery{})
		requireKind(t, fault.NotFound, err)
		_, err = s.Runtime.Exec(t.Context(), "contract-absent", []string{"/app"})
		requireKind(t, fault.NotFound, err)
	})

	t.Run("an id prefix does not name a container", func(t *testing.T) {
		id := s.run(t, s.spec(t, "contract-prefix"))
		s.requireAbsent(t, id[:12])
		require.NoError(t, s.Runtime.Remove(t.Context(), id[:12]))
		require.Equal(t, id, s.inspect(t, "contract-prefix").ID)
		require.Equal(t, "contract-prefix", s.inspect(t, id).Name)
	})

	t.Run("a container that ignores the stop signal is killed after the timeout", func(t *testing.T) {
		spec := s.spec(t, "contract-stubborn", "/app", "stubborn")
		s.run(t, spec)
		s.awaitLogs(t, spec.Name, []string{"stubborn"})
		require.NoError(t, s.Runtime.Stop(t.Context(), spec.Name, time.Second))
		info := s.inspect(t, spec.Name)
		require.Equal(t, runtime.Stopped, info.State)
		require.Equal(t, 137, info.ExitCode)
	})

	t.Run("a start after an interrupted stop waits for the stop to end, and then starts", func(t *testing.T) {
		spec := s.spec(t, "contract-cut-off", "/app", "stubborn")
		s.run(t, spec)
		s.awaitLogs(t, spec.Name, []string{"stubborn"})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if err := s.Runtime.Stop(ctx, spec.Name, 2*time.Second); err != nil { // nil from an engine that stops it at once
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		require.NoError(t, s.Runtime.Start(t.Context(), spec.Name))
		require.Equal(t, runtime.Running, s.inspect(t, spec.Name).State)
		s.awaitLogs(t, spec.Name, []string{"stubborn", "stubborn"})
	})

	t.Run("a running container is removed at once, whatever its stop timeout", func(t *testing.T) {
		spec := s.spec(t, "contract-at-once", "/app", "stubborn")
		spec.StopTimeout = time.Minute
		s.run(t, spec)
		began := time.Now()
		require.NoError(t, s.Runtime.Remove(t.Context(), spec.Name))
		require.Less(t, time.Since(began), 20*time.Second)
	})

	t.Run("a rename changes neither id nor state", func(t *testing.T) {
		spec := s.spec(t, "contract-old.next")
		s.spec(t, "contract-new") // removes it at the end
		id := s.run(t, spec)
		require.NoError(t, s.Runtime.Rename(t.Context(), spec.Name, "contract-new"))
		s.requireAbsent(t, spec.Name)
		info := s.inspect(t, "contract-new")
		require.Equal(t, id, info.ID)
		require.Equal(t, runtime.Running, info.State)
		require.NoError(t, s.Runtime.Rename(t.Context(), "contract-new", "contract-new"))
	})

	t.Run("a rename to a taken name is a Conflict and changes nothing", func(t *testing.T) {
		first, second := s.run(t, s.spec(t, "contract-first")), s.run(t, s.spec(t, "contract-second"))
		requireKind(t, fault.Conflict, s.Runtime.Rename(t.Context(), "contract-first", "contract-second"))
		require.Equal(t, first, s.inspect(t, "contract-first").ID)
		require.Equal(t, second, s.inspect(t, "contract-second").ID)
	})
}
