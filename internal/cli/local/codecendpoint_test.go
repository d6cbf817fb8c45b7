package local

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/dev/parts"
	"github.com/metacircular/mcp/internal/keyring"
)

func TestACodecEndpointIsServedWhereTheConfigurationSaysSo(t *testing.T) {
	dir := t.TempDir()
	port, err := parts.FreePort()
	require.NoError(t, err)
	keys, file := filepath.Join(dir, "encryption.keys"), filepath.Join(dir, "mcp.toml")
	_, _, err = keyring.Add(keys, true)
	require.NoError(t, err)
	load := func(listen string) *config.Config {
		text := fmt.Sprintf("[temporal]\nui = \"http://127.0.0.1:8233\"\nencryption_key_file = %q\ncodec_listen = %q\n", keys, listen)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		cfg, err := config.Load(file, func(string) string { return "" })
		require.NoError(t, err)
		return cfg
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	answers := func() bool {
		answer, err := http.Post("http://"+address+"/decode", "application/json", strings.NewReader(`{"payloads":[]}`))
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}
	for _, listen := range []string{"", "off"} {
		stop, err := serveCodec(load(listen), slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		require.False(t, answers())
		stop()
	}
	stop, err := serveCodec(load(address), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Eventually(t, answers, time.Minute, 10*time.Millisecond)
	stop()
	require.False(t, answers())
}
