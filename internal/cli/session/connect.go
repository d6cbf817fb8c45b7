package session

import (
	"cmp"
	"context"
	"os"
	"slices"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
)

// ConnectTimeout is how long Temporal may take to answer at all.
const ConnectTimeout = 4 * time.Second

// Open loads the configuration and connects.
func (s *Session) Open(ctx context.Context) (*config.Config, client.Client, error) {
	cfg, err := s.Config()
	if err != nil {
		return nil, nil, err
	}
	c, err := s.Connect(ctx, cfg)
	return cfg, c, err
}

// Config loads the configuration; a verb's flags override it.
func (s *Session) Config(flags ...func(*config.Config)) (*config.Config, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	path, err := config.Find(s.ConfigFile, s.Getenv, dir)
	if err != nil {
		return nil, exit.Usage(err)
	}
	cfg, err := config.Load(path, s.Getenv, flags...)
	if err != nil {
		return nil, exit.Usage(err)
	}
	return cfg, nil
}

// Connect connects to Temporal. If it cannot be reached, the error is one of
// [exit.Unreachable] that names the address. If Temporal accepts the connection, but
// does not answer within ConnectTimeout, the first call ends with such an error.
func (s *Session) Connect(ctx context.Context, cfg *config.Config) (client.Client, error) {
	options, err := cfg.TemporalOptions()
	if err != nil {
		return nil, exit.Usage(err)
	}
	return s.connect(ctx, cfg, options)
}

// ConnectPlainly is Connect with a client that decrypts nothing. It also returns the
// namespace.
func (s *Session) ConnectPlainly(ctx context.Context, cfg *config.Config) (c client.Client, namespace string, err error) {
	options, err := cfg.PlainOptions()
	if err != nil {
		return nil, "", exit.Usage(err)
	}
	c, err = s.connect(ctx, cfg, options)
	return c, cmp.Or(options.Namespace, client.DefaultNamespace), err
}

func (s *Session) connect(ctx context.Context, cfg *config.Config, options client.Options) (client.Client, error) {
	if config.ThroughDoor(options) {
		if err := readyIdentity(ctx, cfg); err != nil {
			return nil, err
		}
	}
	options.Logger = sdklog.NewStructuredLogger(s.Logger())
	signing := &signing{actor: s.Actor()}
	options.Interceptors = append(options.Interceptors, signing)
	greets := newGreeting(ctx, ConnectTimeout, func(ctx context.Context, err error) error {
		return s.unreached(ctx, cfg, options, err)
	})
	options.ConnectionOptions.DialOptions = append(slices.Clone(options.ConnectionOptions.DialOptions), grpc.WithUnaryInterceptor(greets.intercept))
	dial, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	c, err := client.DialContext(dial, options)
	if err != nil {
		return nil, s.unreached(ctx, cfg, options, err)
	}
	signing.client = c
	return c, nil
}

// unreached returns the error of a connection on which Temporal does not answer.
func (s *Session) unreached(ctx context.Context, cfg *config.Config, options client.Options, err error) error {
	switch {
	case ctx.Err() != nil:
		return exit.Interrupted
	case exit.KindOf(err) == fault.Unauthorized:
		return exit.Temporal(err)
	case config.ThroughDoor(options):
		return doorError(ctx, cfg, err)
	}
	from := "set [temporal] address in mcp.toml; this configuration is " + cfg.Describe()
	if s.Getenv("TEMPORAL_ADDRESS") != "" {
		from = "correct $TEMPORAL_ADDRESS, which overrides any configuration"
	}
	return exit.Unreachable(fault.New(fault.Unavailable, "Temporal at %s does not answer: %s", options.HostPort, dialCause(err)).
		WithHint("start it (mcp dev starts a local one), or %s", from))
}
