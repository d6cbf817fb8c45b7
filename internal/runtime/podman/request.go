package podman

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// request is one call of podman's API. Of podman's bindings it uses the root
// package alone: those for containers and images link so much of podman that
// they double mcp's start time.
type request struct {
	method string
	path   string   // with a %s for each of args
	args   []string // escaped by the bindings
	query  url.Values
	header http.Header
	body   any // an io.Reader is sent unchanged, anything else as JSON
	// extra is added to the time until podman's response begins.
	extra time.Duration
	// docker is set for a call of docker's API, which podman serves too.
	docker bool
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

// call returns the request as errors show it.
func (r request) call() string {
	args := make([]any, len(r.args))
	for i, arg := range r.args {
		args[i] = arg
	}
	return r.method + " " + fmt.Sprintf(r.path, args...)
}

// bound returns the limit of a request.
func (r request) bound() bound {
	b, found := bounds[r.method+" "+r.path]
	if !found {
		return bound{reading, reading}
	}
	if r.query.Get("follow") == "true" {
		return bound{} // podman answers with the first line
	}
	if r.query.Get("quiet") == "true" {
		b.answer = b.idle // podman answers at the end
	}
	b.answer += r.extra
	return b
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

// filters returns the query for the items of a list that match every filter.
func filters(wanted map[string][]string) url.Values {
	text, _ := json.Marshal(wanted) // strings never fail
	return url.Values{"filters": {string(text)}}
}
