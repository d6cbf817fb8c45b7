package imageregistry_test

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/imageregistry"
)

// elsewhere returns a server on an address of this host other than loopback,
// because loopback is always insecure.
func elsewhere(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addresses {
		ip := a.(*net.IPNet).IP
		if ip.To4() == nil || ip.IsLoopback() {
			continue
		}
		listener, err := net.Listen("tcp4", net.JoinHostPort(ip.String(), "0"))
		require.NoError(t, err)
		server := httptest.NewUnstartedServer(handler)
		require.NoError(t, server.Listener.Close())
		server.Listener = listener
		t.Cleanup(server.Close)
		return server
	}
	require.FailNow(t, "this host has no address other than loopback")
	return nil
}

func TestOnlyListedHostsMayBeInsecure(t *testing.T) {
	noLogin(t)
	plain := elsewhere(t, answers(http.StatusOK))
	plain.Start()
	unknown := elsewhere(t, answers(http.StatusOK))
	unknown.StartTLS()
	for title, server := range map[string]*httptest.Server{"plain http": plain, "an unknown certificate": unknown} {
		image := address(server) + "/shop/api:v1"
		t.Run(title+" is refused, with a hint", func(t *testing.T) {
			_, err := imageregistry.New(imageregistry.Options{}).Digest(t.Context(), image)
			require.True(t, fault.Is(err, fault.Invalid), "%v", err)
			require.Contains(t, fault.Of(err).Hint, "insecure")
		})
		t.Run(title+" is accepted if the host is listed", func(t *testing.T) {
			client := imageregistry.New(imageregistry.Options{Insecure: []string{address(server)}})
			found, err := client.Digest(t.Context(), image)
			require.NoError(t, err)
			require.Equal(t, digest, found)
		})
	}
}

func TestInsecure(t *testing.T) {
	insecure := imageregistry.Insecure([]string{"registry.example:5000", "10.0.0.1"})
	for image, want := range map[string]bool{
		"registry.example:5000/shop/api:v1": true,
		"registry.example:5001/shop/api:v1": false,
		"10.0.0.1:5000/shop/api:v1":         true,
		"10.0.0.2:5000/shop/api:v1":         false,
		"127.0.0.1:5000/shop/api:v1":        true,
		"localhost:5000/shop/api:v1":        true,
		"shop/api:v1":                       false,
		"not a reference":                   false,
	} {
		require.Equal(t, want, insecure(image), image)
	}
}

func TestDigestLogsIn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ship" || password != "mate" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answers(http.StatusOK)(w, r)
	}))
	t.Cleanup(server.Close)
	login := func(key, user string) string {
		return fmt.Sprintf("%q: {\"auth\": %q}", key, base64.StdEncoding.EncodeToString([]byte(user+":mate")))
	}
	host := address(server)
	cases := map[string]struct {
		file string
		kind fault.Kind // "" if the login succeeds
	}{
		"the host, as both write it":           {`{"auths": {` + login(host, "ship") + `}}`, ""},
		"a URL, as docker once wrote it":       {`{"auths": {` + login("http://"+host+"/v1/", "ship") + `}}`, ""},
		"a team, as podman may write it":       {`{"auths": {` + login(host+"/shop", "ship") + `, ` + login(host, "stranger") + `}}`, ""},
		"a repository, as podman may write it": {`{"auths": {` + login(host+"/shop/api", "ship") + `, ` + login(host+"/shop", "stranger") + `}}`, ""},
		"another team":                         {`{"auths": {` + login(host+"/yard", "ship") + `}}`, fault.Unauthorized},
		"the wrong user":                       {`{"auths": {` + login(host, "stranger") + `}}`, fault.Unauthorized},
		"no user":                              {`{}`, fault.Unauthorized},
		"a file that is not JSON":              {`auths`, fault.Invalid},
	}
	for title, c := range cases {
		t.Run(title, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "auth.json")
			require.NoError(t, os.WriteFile(file, []byte(c.file), 0o600))
			_, err := imageregistry.New(imageregistry.Options{AuthFile: file}).Digest(t.Context(), host+"/shop/api:v1")
			if c.kind == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, c.kind, fault.Of(err).Kind, "%v", err)
		})
	}

	t.Run("the files of docker login and podman login are found", func(t *testing.T) {
		for _, variable := range []string{"DOCKER_CONFIG", "REGISTRY_AUTH_FILE"} {
			noLogin(t)
			dir := t.TempDir()
			file := filepath.Join(dir, "config.json")
			require.NoError(t, os.WriteFile(file, []byte(`{"auths": {`+login(host, "ship")+`}}`), 0o600))
			t.Setenv(variable, map[string]string{"DOCKER_CONFIG": dir, "REGISTRY_AUTH_FILE": file}[variable])
			_, err := imageregistry.New(imageregistry.Options{}).Digest(t.Context(), host+"/shop/api:v1")
			require.NoError(t, err, variable)
		}
	})

	t.Run("a missing AuthFile is an error", func(t *testing.T) {
		_, err := imageregistry.New(imageregistry.Options{AuthFile: "/nowhere/auth.json"}).Digest(t.Context(), host+"/shop/api:v1")
		require.True(t, fault.Is(err, fault.Invalid), "%v", err)
	})
}

func TestAuthFilesOfRootAreSkipped(t *testing.T) {
	noLogin(t)
	server := httptest.NewServer(answers(http.StatusOK))
	t.Cleanup(server.Close)
	answer := make(chan error)
	go func() {
		// This thread accesses files as another user, who may not search
		// root's /run/containers. It ends with the goroutine.
		runtime.LockOSThread()
		err := syscall.Setfsuid(65534)
		if err == nil {
			_, err = imageregistry.New(imageregistry.Options{}).Digest(t.Context(), address(server)+"/shop/api:v1")
		}
		answer <- err
	}()
	require.NoError(t, <-answer)
}
