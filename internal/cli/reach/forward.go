package reach

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/stream"
)

// forwarded is what mcp port-forward --json prints for each port, when it listens.
type forwarded struct {
	// Address is that on this machine, and Port the one inside the container.
	Address string `json:"address"`
	Port    int    `json:"port"`
}

func newForward(s *session.Session) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "port-forward SERVICE/COMPONENT [LOCAL:]PORT...",
		Short: "Reach ports inside a container from this machine",
		Long: `Port-forward listens on this machine, and carries each connection to a port inside
the container of a component, published or not, until Ctrl-C. LOCAL is the port
here: by default the same one, and 0 for any that is free.

Each connection is a stream of the node, which needs a gateway, and enters the
audit. A container with the host's network, or with none, cannot be reached so.
Where the session with the gateway breaks, port-forward ends with exit code 5.`,
		Example: "  mcp port-forward shop/db 5432\n  mcp port-forward shop/api 8080:80 0:9090",
		Args:    session.Args(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			var ports []portPair
			for _, text := range args[1:] {
				pair, err := parsePair(text)
				if err != nil {
					return exit.Usage(err)
				}
				ports = append(ports, pair)
			}
			if ip := net.ParseIP(address); ip == nil {
				return exit.Usage(fmt.Errorf("--address must be an address of this machine, such as 127.0.0.1, not %q", address))
			}
			return forward(cmd.Context(), s, args[0], address, ports)
		},
	}
	cmd.Flags().StringVar(&address, "address", "127.0.0.1", "the address to listen on; whoever reaches it reaches the container")
	return cmd
}

// portPair is a port here and one in a container.
type portPair struct{ local, port int }

func parsePair(text string) (p portPair, err error) {
	local, inside, both := strings.Cut(text, ":")
	if !both {
		inside = local
	}
	p.local, err = strconv.Atoi(local)
	if err == nil {
		p.port, err = strconv.Atoi(inside)
	}
	if err != nil || p.port < 1 || p.port > 65535 || p.local < 0 || p.local > 65535 || !both && p.local == 0 {
		return p, fault.New(fault.Invalid, "%q is no pair of ports: write PORT or LOCAL:PORT", text)
	}
	return p, nil
}

func forward(ctx context.Context, s *session.Session, target, address string, ports []portPair) error {
	found, err := open(ctx, s, "port-forward", target, "podman inspect")
	if err != nil {
		return err
	}
	defer found.close()
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}()
	for _, p := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(p.local)))
		if err != nil {
			return fault.Wrap(fault.PortInUse, err, "listen on port %d", p.local).WithHint("take another one: %d:%d, or 0:%d for any", p.local+1, p.port, p.port)
		}
		listeners = append(listeners, l)
	}
	s.Lasts()
	var conns sync.WaitGroup
	serving, end := context.WithCancel(ctx)
	for i, l := range listeners {
		if s.JSON {
			s.PrintJSON(forwarded{l.Addr().String(), ports[i].port})
		} else {
			s.Say("%s is port %d of %s", l.Addr(), ports[i].port, found.at.Container)
		}
		conns.Go(func() { accept(serving, s, l, found, ports[i].port, &conns) })
	}
	select {
	case <-ctx.Done():
		err = exit.Interrupted
	case <-found.streams.Ended():
		err = exit.Cut(fault.New(fault.Unavailable, "the session with the gateway has broken off"))
	}
	end()
	for _, l := range listeners {
		_ = l.Close()
	}
	found.close()
	conns.Wait()
	return err
}

// accept carries the connections of one listener.
func accept(ctx context.Context, s *session.Session, l net.Listener, found opened, port int, conns *sync.WaitGroup) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		conns.Go(func() {
			defer conn.Close()
			if err := carry(ctx, conn.(*net.TCPConn), found, port); err != nil && ctx.Err() == nil {
				s.Fault(fault.Of(err))
			}
		})
	}
}

// carry carries one connection.
func carry(ctx context.Context, conn *net.TCPConn, found opened, port int) error {
	h := session.HeaderOf(stream.Forward, found.service, found.at)
	h.Forward = &stream.ForwardRequest{Port: port}
	call, err := found.streams.Call(ctx, h)
	if err != nil {
		_ = conn.SetLinger(0) // a reset: the client sees that it was not served
		return err
	}
	defer call.Close()
	go func() {
		if err := call.Send(conn); err != nil {
			call.Close() // the client has reset the connection
		}
	}()
	for {
		f, err := call.Next()
		switch {
		case err != nil:
		case f.Kind == stream.Output:
			_, err = conn.Write(f.Data)
		case f.Kind == stream.OutputEnd:
			err = conn.CloseWrite()
		case f.Kind == stream.Exit:
			return nil
		case f.Kind == stream.Failure:
			err = f.Fault()
		}
		if err != nil {
			_ = conn.SetLinger(0)
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
				return nil
			}
			var network *net.OpError
			if errors.As(err, &network) {
				return nil // the client has gone
			}
			return err
		}
	}
}
