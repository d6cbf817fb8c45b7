package config

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"google.golang.org/grpc"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/loopback"
)

// TemporalOptions returns the options of a connection to Temporal, which leads through a
// gateway if [door] names one. TEMPORAL_* variables take precedence; then the profile of
// temporal.toml that is named here or in TEMPORAL_PROFILE; then the gateway, or the address
// given here. Only without an address does the default profile of temporal.toml apply,
// because its keys must not reach another server. A key goes to an address that a
// configuration in the working folder or above gives only if that file has it: such a file
// may have come with a checkout.
//
// A client with these options encrypts what it gives to Temporal: see Encryption.
func (c *Config) TemporalOptions() (client.Options, error) {
	options, err := c.connection()
	if err != nil {
		return options, err
	}
	encryption, err := c.encryptionOf(options)
	if err != nil {
		return options, err
	}
	encryption.Install(&options)
	return options, nil
}

// PlainOptions returns the options of a connection that decrypts nothing: what rests in
// Temporal is seen as it is.
func (c *Config) PlainOptions() (client.Options, error) { return c.connection() }

// connection returns the options without the encryption.
func (c *Config) connection() (client.Options, error) {
	options, _, err := c.temporalOptions(c.Door.Addresses)
	return options, err
}

// temporalOptions returns the options, and the profile that they come from.
func (c *Config) temporalOptions(doors []string) (client.Options, envconfig.ClientConfigProfile, error) {
	given := c.Temporal
	request := envconfig.LoadClientConfigProfileOptions{EnvLookup: environment(c.getenv)}
	if c.getenv("TEMPORAL_PROFILE") == "" {
		request.ConfigFileProfile = given.Profile
		request.DisableFile = given.Profile == "" && (given.Address != "" || len(doors) > 0)
	}
	profile, err := envconfig.LoadClientConfigProfile(request)
	if err != nil {
		return client.Options{}, profile, fmt.Errorf("load Temporal's profile: %w", err)
	}
	if profile.Address == "" && len(doors) > 0 {
		return c.throughDoor(doors, cmp.Or(profile.Namespace, given.Namespace, "default")), profile, nil
	}
	if profile.Address == "" && given.Address != "" && c.isFolders() {
		if err := withoutKeys(&profile, given.Address, c.file); err != nil {
			return client.Options{}, profile, err
		}
	}
	profile.Address = cmp.Or(profile.Address, given.Address, "127.0.0.1:7233")
	profile.Namespace = cmp.Or(profile.Namespace, given.Namespace, "default")
	if err := privateKeys(profile); err != nil {
		return client.Options{}, profile, err
	}
	options, err := profile.ToClientOptions(envconfig.ToClientOptionsRequest{})
	if err != nil {
		return client.Options{}, profile, fmt.Errorf("read Temporal's profile: %w", err)
	}
	options = Tuned(options)
	// The SDK uses TLS for a key, unless the profile disables that.
	encrypted := options.ConnectionOptions.TLS != nil || options.Credentials != nil && !options.ConnectionOptions.TLSDisabled
	if encrypted || given.Insecure {
		return options, profile, nil
	}
	options, err = c.plainTemporal(options)
	return options, profile, err
}

// plainTemporal returns the options of a connection to Temporal without encryption, which may
// only lead to this machine.
func (c *Config) plainTemporal(options client.Options) (client.Options, error) {
	if err := loopback.CheckAddress(context.Background(), options.HostPort); err != nil {
		source := "temporal.address"
		if c.getenv("TEMPORAL_ADDRESS") != "" {
			source = "$TEMPORAL_ADDRESS"
		} else if c.file != "" {
			source = c.file + ": " + source
		}
		f := fault.Of(err)
		f.Message = source + ": " + f.Message
		return options, f.WithHint("give Temporal TLS, in temporal.toml or TEMPORAL_TLS; where the network itself is encrypted, set [temporal] insecure = true")
	}
	dialer := loopback.Dialer(dialTime)
	options.ConnectionOptions.DialOptions = append(options.ConnectionOptions.DialOptions, grpc.WithContextDialer(
		func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}))
	return options, nil
}

// dialTime bounds a connection to a Temporal on this machine.
const dialTime = 5 * time.Second

// privateKeys refuses a key of TLS in a file that other users of this machine can read.
func privateKeys(profile envconfig.ClientConfigProfile) error {
	if profile.TLS == nil || profile.TLS.ClientKeyPath == "" {
		return nil
	}
	return mustBePrivate(profile.TLS.ClientKeyPath)
}

// isFolders reports whether the configuration is that of a local platform, which is found
// in the working folder or above.
func (c *Config) isFolders() bool { return filepath.Base(filepath.Dir(c.file)) == DevDir }

// withoutKeys removes the keys from a profile for an address of this host, which needs
// none. For another address they are an error.
func withoutKeys(profile *envconfig.ClientConfigProfile, address, file string) error {
	if profile.APIKey == "" && len(profile.GRPCMeta) == 0 {
		return nil
	}
	host, _, _ := net.SplitHostPort(address)
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fault.New(fault.Unauthorized, "the key of $TEMPORAL_API_KEY or temporal.toml is not sent to %s, an address that %s gives", address, file).
			WithHint("if the key is for that address, say so: export TEMPORAL_ADDRESS=%s; otherwise unset the key, or name another configuration with --config", address)
	}
	profile.APIKey, profile.GRPCMeta = "", nil
	return nil
}

// Tuned returns o with the keep-alive and the compression that every process of
// mcp uses for its connection to Temporal, and with patience for missed heartbeats.
func Tuned(o client.Options) client.Options {
	o.ConnectionOptions.KeepAliveTime = keepAlive
	o.ConnectionOptions.KeepAliveTimeout = keepAlive / 3
	// Requests are small and Temporal is near: compressing them, the SDK's
	// default, costs more than it saves.
	o.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	o.ConnectionOptions.DialOptions = append(slices.Clone(o.ConnectionOptions.DialOptions), grpc.WithChainUnaryInterceptor(missHeartbeats))
	return o
}

// keepAlive is how long a connection to Temporal may be idle before a ping checks
// it: a node whose network was interrupted should not be taken for dead for long
// afterwards. The SDK's default is 30 s; Temporal's server accepts no less than
// 10 s.
const keepAlive = 15 * time.Second

// environment adapts the getenv that was passed to Load to the SDK.
type environment func(string) string

// LookupEnv reports an empty variable as unset.
func (e environment) LookupEnv(name string) (string, bool) {
	value := e(name)
	return value, value != ""
}

// Environ lists the variables whose names are set in this process.
func (e environment) Environ() []string {
	var list []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if value := e(name); value != "" {
			list = append(list, name+"="+value)
		}
	}
	return list
}

// PostgresURL returns the address of the registry. It refuses a password that
// other users of this machine could read.
func (c *Config) PostgresURL() (string, error) {
	p := c.Postgres
	switch {
	case p.URLFile != "":
		text, err := os.ReadFile(p.URLFile)
		if err != nil {
			return "", fmt.Errorf("read postgres.url_file: %w", err)
		}
		address := strings.TrimSpace(string(text))
		if !isPostgresURL(address) {
			return "", fmt.Errorf("read %s: it must contain one line that begins with postgres://", p.URLFile)
		}
		return address, mustBePrivateFor(p.URLFile, address)
	case p.URL == "":
		return "", fmt.Errorf("find the registry: set postgres.url_file or MCP_POSTGRES_URL; this configuration is %s", c.Describe())
	case c.getenv("MCP_POSTGRES_URL") == "" && c.file != "":
		return p.URL, mustBePrivateFor(c.file, p.URL)
	}
	return p.URL, nil
}

// OwnerURL returns the address of the registry for mcp migrate: that of the role that owns
// its tables or, if none is set, that of the workers.
func (c *Config) OwnerURL() (string, error) {
	path := c.Postgres.OwnerURLFile
	if path == "" {
		return c.PostgresURL()
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read postgres.owner_url_file: %w", err)
	}
	address := strings.TrimSpace(string(text))
	if !isPostgresURL(address) {
		return "", fmt.Errorf("read %s: it must contain one line that begins with postgres://", path)
	}
	return address, mustBePrivateFor(path, address)
}

// AlertSecret reads the secret that signs alerts; "" if there is none.
func (c *Config) AlertSecret() (string, error) {
	path := c.Alerts.SecretFile
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read alerts.secret_file: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", fmt.Errorf("read alerts.secret_file: %s is empty", path)
	}
	return secret, mustBePrivate(path)
}

// mustBePrivateFor refuses a file with an address that has a password if other
// users can read it.
func mustBePrivateFor(path, address string) error {
	if parsed, err := url.Parse(address); err == nil {
		if _, holds := parsed.User.Password(); !holds && !parsed.Query().Has("password") {
			return nil
		}
	}
	return mustBePrivate(path)
}

// mustBePrivate refuses a file with a secret if other users can read it.
func mustBePrivate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("check the mode of a file with a secret: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("read a secret from %s: other users can read it (mode %04o); run chmod 600 %s", path, mode, path)
	}
	return nil
}
