package codec_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

func TestEndpoint(t *testing.T) {
	c, _ := newCodec(t, 1)
	server := httptest.NewServer(c.Handler("http://127.0.0.1:8233"))
	defer server.Close()
	sealed, err := c.Encode(payload(t, "canary"))
	require.NoError(t, err)
	question, err := json.Marshal(common.Payloads{Payloads: sealed})
	require.NoError(t, err)
	ask := func(method, path, origin, host string) (int, http.Header, string) {
		r, err := http.NewRequest(method, server.URL+path, strings.NewReader(string(question)))
		require.NoError(t, err)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		if host != "" {
			r.Host = host
		}
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, answer.Header, string(text)
	}

	for _, origin := range []string{"http://127.0.0.1:8233", "http://localhost:8233"} {
		code, header, text := ask("POST", "/decode", origin, "")
		require.Equal(t, 200, code, text)
		require.Equal(t, origin, header.Get("Access-Control-Allow-Origin"))
		var answer common.Payloads
		require.NoError(t, protojson.Unmarshal([]byte(text), &answer))
		require.Equal(t, `"canary"`, string(answer.Payloads[0].Data))
		code, header, _ = ask("OPTIONS", "/decode", origin, "")
		require.Equal(t, 204, code)
		require.Contains(t, header.Get("Access-Control-Allow-Headers"), "X-Namespace")
	}
	code, header, text := ask("POST", "/decode", "", "") // Temporal's command line
	require.Equal(t, 200, code, text)
	require.Empty(t, header.Get("Access-Control-Allow-Origin"))
	for name, c := range map[string]struct {
		method, path, origin, host string
		code                       int
	}{
		"a page of another origin":     {"POST", "/decode", "http://evil.example", "", 403},
		"its preflight":                {"OPTIONS", "/decode", "http://evil.example", "", 403},
		"another port of this host":    {"POST", "/decode", "http://127.0.0.1:9999", "", 403},
		"another scheme":               {"POST", "/decode", "https://127.0.0.1:8233", "", 403},
		"a name that ends like the UI": {"POST", "/decode", "http://evil.example#127.0.0.1:8233", "", 403},
		"a sandboxed page":             {"POST", "/decode", "null", "", 403},
		"a name that leads here":       {"POST", "/decode", "http://127.0.0.1:8233", "evil.example", 403},
		"something to encrypt":         {"POST", "/encode", "http://127.0.0.1:8233", "", 404},
		"a GET":                        {"GET", "/decode", "http://127.0.0.1:8233", "", 405},
	} {
		t.Run(name, func(t *testing.T) {
			code, header, text := ask(c.method, c.path, c.origin, c.host)
			require.Equal(t, c.code, code)
			require.NotContains(t, text, "canary")
			if code == 403 {
				require.Empty(t, header.Get("Access-Control-Allow-Origin"))
			}
		})
	}
}
