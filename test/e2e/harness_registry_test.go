package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"
)

// faultyRegistry is a proxy of the platform's image registry, with a handler for the
// requests that are to fail.
type faultyRegistry struct {
	w       *world
	address string
	pass    *httputil.ReverseProxy
	server  *http.Server

	mu       sync.Mutex
	script   script
	over     chan struct{} // closed when the script ends
	requests []string      // that have come, as "PUT /v2/name/blobs/…"
	open     int           // of them, those that have not been answered
}

// script handles a request, and reports whether it did: others are passed on.
type script func(f *faultyRegistry, w http.ResponseWriter, r *http.Request) bool

// newFaultyRegistry starts one, and names w's images after it.
func (w *world) newFaultyRegistry(s script) *faultyRegistry {
	w.t.Helper()
	f := &faultyRegistry{w: w, address: "127.0.0.1:0"}
	f.pass = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: shared.platform.Info().ImageRegistry})
			r.Out.Host = r.In.Host // the address of the rest of an upload
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	f.fail(s)
	f.comeBack()
	w.t.Cleanup(func() {
		f.heal()
		f.goAway()
	})
	w.registry = f.address
	return f
}

// goAway stops it: connections are refused.
func (f *faultyRegistry) goAway() { require.NoError(f.w.t, f.server.Close()) }

// comeBack starts it at its address.
func (f *faultyRegistry) comeBack() {
	f.w.t.Helper()
	listener, err := net.Listen("tcp", f.address)
	require.NoError(f.w.t, err)
	f.address = listener.Addr().String()
	f.server = &http.Server{Handler: f}
	go func() { _ = f.server.Serve(listener) }()
}

func (f *faultyRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+r.URL.RequestURI())
	f.open++
	script := f.script
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.open--
	}()
	if script == nil || !script(f, w, r) {
		f.pass.ServeHTTP(w, r)
	}
}

// fail sets the script; nil for none.
func (f *faultyRegistry) fail(s script) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over != nil {
		close(f.over)
	}
	f.script, f.over = s, make(chan struct{})
}

// heal ends the script.
func (f *faultyRegistry) heal() { f.fail(nil) }

// end is closed when the current script ends.
func (f *faultyRegistry) end() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.over
}

// count is the number of requests of a method so far whose path contains a text.
func (f *faultyRegistry) count(method, text string) int {
	return len(f.those(method, text))
}

func (f *faultyRegistry) those(method, text string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []string
	for _, request := range f.requests {
		if strings.HasPrefix(request, method+" ") && strings.Contains(request, text) {
			found = append(found, request)
		}
	}
	return found
}

// unanswered is the number of requests that wait for an answer.
func (f *faultyRegistry) unanswered() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

// uploads are the methods of a push that change something.
const uploads = "POST PATCH PUT"

// on limits a script to some methods, and to paths that contain a text.
func on(methods, text string, then script) script {
	return func(f *faultyRegistry, w http.ResponseWriter, r *http.Request) bool {
		return slices.Contains(strings.Fields(methods), r.Method) && strings.Contains(r.URL.Path, text) && then(f, w, r)
	}
}

// answering answers with a status and an image registry's error.
func answering(status int, code string) script {
	return func(_ *faultyRegistry, w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"as the script says"}]}`, code)
		return true
	}
}

// hanging gives no answer until the client goes away or the script ends.
func hanging(f *faultyRegistry, _ http.ResponseWriter, r *http.Request) bool {
	over := f.end()
	// The server notices that a client has gone only once its body has been read.
	go func() { _, _ = io.Copy(io.Discard, r.Body) }()
	select {
	case <-r.Context().Done():
	case <-over:
	}
	panic(http.ErrAbortHandler)
}

// cutting passes on what is small, and closes the connection in the middle of a body of
// more than n bytes.
func cutting(n int) script {
	return func(f *faultyRegistry, w http.ResponseWriter, r *http.Request) bool {
		r.Body = &cutBody{ReadCloser: r.Body, left: n}
		f.pass.ServeHTTP(&cutAnswer{ResponseWriter: w, left: n}, r)
		return true
	}
}

type cutBody struct {
	io.ReadCloser
	left int
}

func (c *cutBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.left -= n; c.left < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

type cutAnswer struct {
	http.ResponseWriter
	left int
}

func (c *cutAnswer) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(p)
}
