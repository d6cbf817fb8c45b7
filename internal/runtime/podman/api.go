package podman

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/containers/podman/v5/pkg/bindings"
)

// request is one call of podman's API. Only the root of podman's bindings is
// used: the packages for containers and images beneath it bring so much of
// podman along that they double the time in which mcp starts.
type request struct {
	method string
	path   string   // with a %s for each of args
	args   []string // which the bindings escape
	query  url.Values
	header http.Header
	body   any // an io.Reader as it is, anything else as JSON
}

func get(path string, args ...string) request {
	return request{method: http.MethodGet, path: path, args: args}
}

func post(path string, args ...string) request {
	return request{method: http.MethodPost, path: path, args: args}
}

func del(path string, args ...string) request {
	return request{method: http.MethodDelete, path: path, args: args}
}

func (r request) with(query url.Values) request {
	r.query = query
	return r
}

func (r request) sending(body any) request {
	r.body = body
	return r
}

func (r request) reader() (io.Reader, error) {
	switch body := r.body.(type) {
	case nil:
		return nil, nil
	case io.Reader:
		return body, nil
	}
	text, err := json.Marshal(r.body)
	return bytes.NewReader(text), err
}

// send asks podman and returns its answer, whatever it is.
func (e *Engine) send(ctx context.Context, r request) (*bindings.APIResponse, error) {
	connection, err := e.connect(ctx)
	if err != nil {
		return nil, err
	}
	body, err := r.reader()
	if err != nil {
		return nil, err
	}
	return connection.DoRequest(ctx, body, r.method, r.path, r.query, r.header, r.args...)
}

// ask asks podman and decodes its answer; nil takes none.
func (e *Engine) ask(ctx context.Context, r request, answer any) error {
	response, err := e.send(ctx, r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return response.Process(answer)
}

// open asks podman for an answer that is read as it comes.
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

// report is one of the JSON values in which podman tells how a build, a push
// or a pull goes. One that fails ends with an error, though its answer began
// with 200.
type report struct {
	Stream string // output
	Error  string // of a push and a pull
	Detail struct {
		Message string
	} `json:"errorDetail"` // of a build
}

// follow asks podman for reports, and gives each the output in them.
func (e *Engine) follow(ctx context.Context, r request, each func(output string)) error {
	body, err := e.open(ctx, r)
	if err != nil {
		return err
	}
	defer body.Close()
	for decoder := json.NewDecoder(body); ; {
		var said report
		err := decoder.Decode(&said)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read podman's answer: %w", err)
		case said.Detail.Message != "":
			return errors.New(said.Detail.Message)
		case said.Error != "":
			return errors.New(said.Error)
		}
		each(said.Stream)
	}
}

// filters is the query for those of a list that pass every one of the filters.
func filters(wanted map[string][]string) url.Values {
	text, _ := json.Marshal(wanted) // strings always can be
	return url.Values{"filters": {string(text)}}
}
