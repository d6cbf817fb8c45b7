package crash

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/fleet"
	"github.com/metacircular/mcp/internal/gateway"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// theGateway is the first of two gateways, each on a host of its own, to which all roles
// and the command line are connected; theGateways are both.
const (
	theGateway  = "one gateway of two"
	theGateways = "both gateways"
)

// gatewayParts are the gateways among the rig's parts.
var gatewayParts = []string{theGateway, "the other gateway"}

// gatewayPort is the port of each gateway on its host.
const gatewayPort = "7433"

// doors are the addresses of the gateways.
func (r *rig) doors() (list []string) {
	for _, on := range r.gateways {
		list = append(list, net.JoinHostPort(on.address, gatewayPort))
	}
	return list
}

// startGateways starts a gateway on each host. They reach Temporal and Postgres at the
// network's own address.
func (r *rig) startGateways(ctx context.Context, hosts []*host) error {
	r.gateways = hosts
	temporal := r.parts[theTemporal].now().(*parts.Temporal).Address()
	var err error
	if r.bridge, err = forward(net.JoinHostPort(r.network.gateway, "0"), temporal); err != nil {
		return err
	}
	ledger, err := url.Parse(r.postgres)
	if err != nil {
		return err
	}
	if r.ledger, err = forward(net.JoinHostPort(r.network.gateway, "0"), ledger.Host); err != nil {
		return err
	}
	ledger.Host = r.ledger.Listen
	for i, name := range gatewayParts {
		text := fmt.Sprintf(`[temporal]
address = %q
insecure = true
[postgres]
url = %q
insecure = true
[gateway]
listen = %q
addresses = ["%s"]
key_file = %q
data = %q
metrics = "off"
`, r.bridge.Listen, ledger, r.doors()[i], strings.Join(r.doors(), `", "`), r.gatewayKey(), r.path(name))
		if err := os.WriteFile(r.config(name), []byte(text), 0o600); err != nil {
			return err
		}
		r.parts[name] = &part{name: name, start: func(context.Context) (process, error) {
			path, args := hosts[i].inside(self(), "--config", r.config(name), "gateway")
			return parts.Start(parts.Command{Name: name, Path: path, Args: args, Env: []string{r.announcing()}, Dir: r.dir, LogFile: r.path(name + ".log")})
		}}
		// The first one makes the keys that both have.
		if err := errors.Join(r.parts[name].up(ctx), r.awaitGateway(i)); err != nil {
			return err
		}
	}
	return nil
}

// gatewayKey is the file of the key that the keys of the gateways are sealed to.
func (r *rig) gatewayKey() string { return r.path("gateway.key") }

// awaitGateway waits until a gateway accepts connections.
func (r *rig) awaitGateway(i int) error {
	return await(timeout, gatewayParts[i]+" serves", func() bool {
		conn, err := net.DialTimeout("tcp", r.doors()[i], time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// join gives a process the identity with that role and name, and returns what its mcp.toml
// says of the gateways.
func (r *rig) join(ctx context.Context, role identity.Role, name string) (settings string, err error) {
	token, request := enrol.NewToken(identity.Creation{Identity: identity.Identity{Role: role, Name: name}, TokenLife: time.Hour})
	answer, err := gateway.Direct(ctx, r.postgres, false, r.doors(), r.gatewayKey(), fleet.Actor{Who: "the rig", From: "the rig"}, request)
	if err != nil {
		return "", fmt.Errorf("create %s/%s: %w", role, name, err)
	}
	if token, err = enrol.Complete(token, answer); err != nil {
		return "", err
	}
	joined, err := enrol.Join(ctx, token)
	if err == nil {
		err = joined.Save(r.identity(role, name))
	}
	if err != nil {
		return "", fmt.Errorf("join as %s/%s: %w", role, name, err)
	}
	return fmt.Sprintf("[door]\naddresses = [\"%s\"]\nidentity = %q\n", strings.Join(r.doors(), `", "`), r.identity(role, name)), nil
}

// identity is the directory of an identity.
func (r *rig) identity(role identity.Role, name string) identity.Directory {
	return identity.Directory(r.path("identity/" + string(role) + "-" + name))
}
