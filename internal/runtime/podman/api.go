package podman

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/containers/podman/v5/pkg/bindings"
)

// send sends a request and returns podman's response, whatever its status. The
// caller closes its body. A podman that does not answer within the call's bound is
// an error.
func (e *Engine) send(ctx context.Context, r request) (*bindings.APIResponse, error) {
	connection, err := e.connect(ctx)
	if err != nil {
		return nil, err
	}
	body, err := r.reader()
	if err != nil {
		return nil, err
	}
	watch := newWatch(ctx, r.call(), r.bound(), e.longest)
	if r.docker {
		connection = dockerConnection(connection)
	}
	response, err := connection.DoRequest(watch.ctx, watch.request(body), r.method, r.path, r.query, r.header, r.args...)
	if err != nil {
		defer watch.end()
		return nil, watch.err(err)
	}
	watch.answered()
	response.Body = watch.response(response.Body)
	return response, nil
}

// ask sends a request and decodes the response into answer, which may be nil.
func (e *Engine) ask(ctx context.Context, r request, answer any) error {
	response, err := e.send(ctx, r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return response.Process(answer)
}

// open sends a request whose response is a stream.
func (e *Engine) open(ctx context.Context, r request) (io.ReadCloser, error) {
	response, err := e.send(ctx, r)
	if err != nil {
		return nil, err
	}
	if !response.IsSuccess() {
		defer response.Body.Close()
		return nil, response.Process(nil)
	}
	return response.Body, nil
}

// report is one of the JSON values in which podman reports the progress of a
// build, a push or a pull. One that fails ends with an error, although its
// response has the status 200.
type report struct {
	Stream string // output
	Status string // output, in docker's API
	Error  string // of a push and a pull
	// ManifestDigest is what a push has sent.
	ManifestDigest string
	Detail         struct {
		Message string
	} `json:"errorDetail"` // of a build
}

// follow sends a request whose response is a stream of reports, and calls each
// with the output in them.
func (e *Engine) follow(ctx context.Context, r request, each func(output string)) error {
	return e.reports(ctx, r, func(r report) { each(r.Stream) })
}

// reports sends a request whose response is a stream of reports, and calls each with
// them.
func (e *Engine) reports(ctx context.Context, r request, each func(report)) error {
	body, err := e.open(ctx, r)
	if err != nil {
		return err
	}
	defer body.Close()
	for decoder := json.NewDecoder(body); ; {
		var r report
		err := decoder.Decode(&r)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read podman's answer: %w", err)
		case r.Detail.Message != "":
			return errors.New(r.Detail.Message)
		case r.Error != "":
			return errors.New(r.Error)
		}
		each(r)
	}
}

// dockerConnection returns a connection for docker's API, which the bindings do not
// support.
func dockerConnection(c *bindings.Connection) *bindings.Connection {
	docker, httpClient := *c, *c.Client
	httpClient.Transport = dockerPaths{httpClient.Transport}
	docker.Client = &httpClient
	return &docker
}

// dockerPaths sends requests to docker's paths instead of podman's.
type dockerPaths struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (d dockerPaths) RoundTrip(r *http.Request) (*http.Response, error) {
	const podmans, dockers = "/libpod/", "/v1.40/"
	moved := r.Clone(r.Context())
	for _, path := range []*string{&moved.URL.Path, &moved.URL.RawPath} {
		if _, rest, found := strings.Cut(*path, podmans); found {
			*path = dockers + rest
		}
	}
	return d.RoundTripper.RoundTrip(moved)
}
