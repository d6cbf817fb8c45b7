package config

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/servicedef"
)

// Door configures how this machine reaches Temporal through gateways.
type Door struct {
	// Addresses are those of the gateways, each host:port; empty if Temporal is reached
	// without one.
	Addresses []string `toml:"addresses"`
	// Identity is the directory of this machine's identity.
	Identity string `toml:"identity"`
}

// Enabled reports whether Temporal is reached through gateways.
func (d Door) Enabled() bool { return len(d.Addresses) > 0 }

// Directory returns the directory of the identity.
func (d Door) Directory() identity.Directory { return identity.Directory(d.Identity) }

// Check returns an error if there are gateways and the identity cannot be used.
func (d Door) Check() error {
	if !d.Enabled() {
		return nil
	}
	_, err := d.Directory().Read()
	return err
}

// ThroughDoor reports whether a connection with these options leads through a gateway.
func ThroughDoor(options client.Options) bool {
	secure := options.ConnectionOptions.TLS
	return secure != nil && secure.ServerName == identity.ServerName
}

// TLS returns the configuration of connections to the gateways, of the given protocols.
func (d Door) TLS(protocols ...string) *tls.Config { return d.Directory().ClientTLS(protocols...) }

// Gateway configures mcp gateway.
type Gateway struct {
	// Listen is the address of the gateway.
	Listen string `toml:"listen"`
	// KeyFile is the file of the key that the keys in Postgres are sealed with.
	KeyFile string `toml:"key_file"`
	// Addresses are those at which clients reach the gateways.
	Addresses []string `toml:"addresses"`
	// Data is the directory of the copies of keys and revoked identities.
	Data string `toml:"data"`
	// Life is how long a certificate lives.
	Life servicedef.Duration `toml:"life"`
	// Metrics is the address of metrics and health; "" or "off" means none.
	Metrics string `toml:"metrics"`
}

// Doors returns the addresses at which clients reach the gateways: those of Addresses or,
// if there are none, the one on which the gateway listens. They are nil if it listens on
// all addresses of its host, because the name of that host elsewhere is not known.
func (g Gateway) Doors() []string {
	host, port, err := net.SplitHostPort(g.Listen)
	if len(g.Addresses) > 0 || err != nil || port == "0" {
		return g.Addresses
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return nil
	}
	return []string{g.Listen}
}

const (
	// DefaultDoor is the default address of a gateway.
	DefaultDoor = "0.0.0.0:7433"
	// DefaultGatewayMetrics is the default address of a gateway's metrics and health.
	DefaultGatewayMetrics = "127.0.0.1:9467"
)

// doorScheme is the scheme of the address of several gateways.
const doorScheme = "doors"

// throughDoor returns the options of a connection through gateways, which uses another
// gateway if one is away.
func (c *Config) throughDoor(doors []string, namespace string) client.Options {
	options := Tuned(client.Options{HostPort: doors[0], Namespace: namespace})
	options.ConnectionOptions.TLS = c.Door.TLS()
	if len(doors) == 1 {
		return options
	}
	options.HostPort = doorScheme + ":///" + strings.Join(doors, ",")
	found := manual.NewBuilderWithScheme(doorScheme)
	var state resolver.State
	for _, address := range doors {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	found.InitialState(state)
	options.ConnectionOptions.DialOptions = append(options.ConnectionOptions.DialOptions, grpc.WithResolvers(found))
	return options
}

const (
	// upstreamPause is the longest time between two attempts to connect to Temporal.
	upstreamPause = 5 * time.Second
	// upstreamMessage bounds a message of Temporal's, in bytes, as in its own client.
	upstreamMessage = 128 << 20
)

// Upstream returns the connection of a gateway to its Temporal, which [temporal]
// describes, and the namespace. It does not connect yet.
func (c *Config) Upstream() (*grpc.ClientConn, string, error) {
	options, profile, err := c.temporalOptions(nil)
	if err != nil {
		return nil, "", err
	}
	transport := insecure.NewCredentials()
	secure := options.ConnectionOptions.TLS
	if secure == nil && profile.APIKey != "" {
		secure = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if secure != nil {
		transport = credentials.NewTLS(secure)
	}
	retry := backoff.DefaultConfig
	retry.BaseDelay, retry.MaxDelay = upstreamPause/10, upstreamPause // a Temporal that is back is found soon
	dial := append([]grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: retry, MinConnectTimeout: dialTime}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepAlive, Timeout: keepAlive / 3, PermitWithoutStream: true}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(upstreamMessage), grpc.MaxCallSendMsgSize(upstreamMessage)),
	}, options.ConnectionOptions.DialOptions...)
	if profile.APIKey != "" || len(profile.GRPCMeta) > 0 {
		dial = append(dial, grpc.WithChainUnaryInterceptor(
			func(ctx context.Context, method string, in, out any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
				for key, value := range profile.GRPCMeta {
					ctx = metadata.AppendToOutgoingContext(ctx, key, value)
				}
				if profile.APIKey != "" {
					ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+profile.APIKey, "temporal-namespace", options.Namespace)
				}
				return invoke(ctx, method, in, out, cc, o...)
			}))
	}
	conn, err := grpc.NewClient(options.HostPort, dial...)
	return conn, options.Namespace, err
}

func (v *validation) door(d Door) {
	if d.Enabled() {
		err := identity.CheckDoors(d.Addresses)
		v.check(err == nil, "door.addresses", "%v", err)
	}
	v.check(d.Identity != "" || !d.Enabled(), "door.identity", "must be a directory")
}

func (v *validation) gateway(g Gateway) {
	host, port, err := net.SplitHostPort(g.Listen)
	v.check(err == nil && port != "" && (host == "" || isAddress(host) || host == "localhost"), "gateway.listen", "must be an address of this host and a port, such as %q, not %q", DefaultDoor, g.Listen)
	if len(g.Addresses) > 0 {
		err := identity.CheckDoors(g.Addresses)
		v.check(err == nil, "gateway.addresses", "%v", err)
	}
	v.check(g.KeyFile != "", "gateway.key_file", "must be a file")
	v.check(g.Data != "", "gateway.data", "must be a directory")
	life := time.Duration(g.Life)
	v.check(life >= identity.MinLife && life <= identity.MaxLife, "gateway.life", "must be between %s and %s, not %s", identity.MinLife, identity.MaxLife, life)
	v.check(listens(g.Metrics), "gateway.metrics", `must be host:port, such as %q, or "off", not %q`, DefaultGatewayMetrics, g.Metrics)
}
