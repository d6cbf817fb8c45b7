package local

import (
	"log/slog"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/telemetry"
)

// serveCodec decrypts for Temporal's UI if the configuration says so, until stop is called.
// Both a control worker and a gateway can; of two on one host, the second takes over when
// the first has ended.
func serveCodec(cfg *config.Config, log *slog.Logger) (stop func(), err error) {
	if cfg.Temporal.CodecListen == "" || cfg.Temporal.CodecListen == "off" {
		return func() {}, nil
	}
	keyed, err := cfg.Codec()
	if err != nil {
		return nil, exit.Usage(err)
	}
	endpoint := telemetry.Listen(cfg.Temporal.CodecListen, keyed.Handler(cfg.Temporal.UI), log.With("for", "the codec endpoint"))
	return endpoint.Close, nil
}
