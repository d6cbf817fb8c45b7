package crash

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
	"github.com/metacircular/mcp/internal/registry"
	"github.com/metacircular/mcp/internal/seal"
)

// gatewayFaults are those of gateways, beside processFaults and gracefulStop.
var gatewayFaults = []failure{
	separated("cut off from Temporal for 20 s", (*rig).toTemporal),
	separated("cut off from clients for 20 s", (*rig).toClients),
}

// oneOfTwo has no deploy undone for what fails: the other gateway takes over.
func oneOfTwo(all []failure) []failure {
	for i := range all {
		all[i].gentle = true
	}
	return all
}

// replaced ends each gateway and starts it again, as an upgrade does.
var replaced = failure{
	name: "replaced one after the other", away: 2 * time.Second, gentle: true,
	inject: func(fc *faultCase) error { fc.rig.parts[gatewayParts[0]].ask(); return nil },
	repair: func(ctx context.Context, fc *faultCase) error {
		for i, name := range gatewayParts {
			if i > 0 {
				fc.rig.parts[name].ask()
			}
			if err := errors.Join(fc.rig.parts[name].again(ctx), fc.rig.awaitGateway(i)); err != nil {
				return err
			}
		}
		return nil
	},
}

// separated drops what gateways exchange with others: all packets to which a rule applies.
func separated(name string, rules func(*rig) [][]string) failure {
	change := func(fc *faultCase, verb string) error {
		var problems []error
		for _, on := range fc.gatewayHosts() {
			for _, rule := range rules(fc.rig) {
				path, args := on.inside("iptables", append([]string{"--wait", verb}, rule...)...)
				problems = append(problems, run(path, args...))
			}
		}
		return errors.Join(problems...)
	}
	return failure{
		name: name, away: 20 * time.Second,
		inject: func(fc *faultCase) error { return change(fc, "--insert") },
		repair: func(_ context.Context, fc *faultCase) error { return change(fc, "--delete") },
	}
}

func (r *rig) toTemporal() [][]string {
	_, port, _ := net.SplitHostPort(r.bridge.Listen)
	return [][]string{
		{"OUTPUT", "--protocol", "tcp", "--dport", port, "--jump", "DROP"},
		{"INPUT", "--protocol", "tcp", "--sport", port, "--jump", "DROP"},
	}
}

func (r *rig) toClients() [][]string {
	return [][]string{
		{"INPUT", "--protocol", "tcp", "--dport", gatewayPort, "--jump", "DROP"},
		{"OUTPUT", "--protocol", "tcp", "--sport", gatewayPort, "--jump", "DROP"},
	}
}

// gatewayHosts are those of the gateways that fail.
func (fc *faultCase) gatewayHosts() []*host {
	if fc.target == theGateway {
		return fc.rig.gateways[:1]
	}
	return fc.rig.gateways
}

// theCertificate is that of the node which the case deploys to.
const theCertificate = "the node's certificate"

// certificateFaults are those of a certificate.
var certificateFaults = []failure{
	{
		name: "ended, back after 20 s", away: 20 * time.Second,
		inject: func(fc *faultCase) error {
			_, err := fc.shorten()
			return err
		},
		repair: func(ctx context.Context, fc *faultCase) error {
			_, err := fc.rig.join(ctx, identity.Node, fc.node)
			return err
		},
	},
	{
		// A gateway closes connections whose certificates have ended within ten seconds.
		name: "renewed, and the former one ended", away: 15 * time.Second, gentle: true,
		inject: func(fc *faultCase) error {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			if err := enrol.Renew(ctx, fc.rig.doors(), fc.rig.identity(identity.Node, fc.node)); err != nil {
				return err
			}
			renewed, err := fc.shorten()
			if err != nil {
				return err
			}
			return fc.rig.identity(identity.Node, fc.node).Renew(renewed.Roots, renewed.Certificate)
		},
		repair: func(context.Context, *faultCase) error { return nil },
	},
}

// remaining is how long a certificate lives that was shortened.
const remaining = 5 * time.Second

// shorten gives the node a certificate that soon ends, and returns the one it had when the
// node has connected with the other.
func (fc *faultCase) shorten() (had identity.Content, err error) {
	directory := fc.rig.identity(identity.Node, fc.node)
	if had, err = directory.Read(); err != nil {
		return had, err
	}
	request, err := had.Request()
	if err != nil {
		return had, err
	}
	short, err := fc.rig.authority.Issue(had.Identity, request, identity.MinLife, time.Now().Add(remaining-identity.MinLife))
	if err != nil {
		return had, err
	}
	if err := directory.Renew(had.Roots, short); err != nil {
		return had, err
	}
	for _, on := range fc.rig.gateways {
		if err := fc.reconnect(on); err != nil {
			return had, err
		}
	}
	return had, nil
}

// readAuthority returns the authority of the gateways.
func (r *rig) readAuthority(ctx context.Context) (*identity.Authority, error) {
	own, err := seal.Load(r.gatewayKey())
	if err != nil {
		return nil, err
	}
	keys, err := r.store.GatewayKeys(ctx)
	if err != nil {
		return nil, err
	}
	text, err := own.Open("gateway/"+registry.GatewayAuthority, keys[registry.GatewayAuthority].Sealed)
	if err != nil {
		return nil, err
	}
	return identity.ParseAuthority(text)
}

// reconnect breaks the node's connections to a gateway, and waits for others. A worker that
// is not connected has nothing to break.
func (fc *faultCase) reconnect(gateway *host) error {
	before, err := fc.connections(gateway)
	if err != nil || len(before) == 0 {
		return err
	}
	if _, err := fc.sockets(gateway, "--kill"); err != nil {
		return err
	}
	return await(timeout, fc.node+" connects again", func() bool {
		now, err := fc.connections(gateway)
		for peer := range now {
			if err == nil && !before[peer] {
				return true
			}
		}
		return false
	})
}

// connections are the node's connections to a gateway, by the address and port of the node.
func (fc *faultCase) connections(gateway *host) (map[string]bool, error) {
	out, err := fc.sockets(gateway)
	peers := map[string]bool{}
	for line := range strings.Lines(out) { // "0  0  10.211.3.14:7433  10.211.3.10:40112"
		if fields := strings.Fields(line); len(fields) > 3 {
			peers[fields[3]] = true
		}
	}
	return peers, err
}

// sockets runs ss for the node's connections to a gateway.
func (fc *faultCase) sockets(gateway *host, flags ...string) (string, error) {
	path, args := gateway.inside("ss", append(flags, "--no-header", "--tcp", "--numeric", "state", "established",
		"sport", "=", ":"+gatewayPort, "and", "dst", fc.rig.node(fc.node).address)...)
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("list the connections to a gateway: %w: %s", err, out)
	}
	return string(out), err
}
