package podman

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// CopyOut writes a file or a directory of a container as a tar archive. An archive of
// which podman has sent only a part has no end: the reader has to check for that.
func (e *Engine) CopyOut(ctx context.Context, name, path string, to io.Writer) error {
	body, err := e.open(ctx, get("/containers/%s/archive", name).with(url.Values{"path": {path}}))
	if err != nil {
		return e.copyFault(ctx, err, "read", name, path)
	}
	defer body.Close()
	if _, err := io.Copy(to, body); err != nil {
		return e.copyFault(ctx, err, "read", name, path)
	}
	return nil
}

// Stat describes a file or a directory of a container; NotFound if there is none.
func (e *Engine) Stat(ctx context.Context, name, path string) (runtime.FileInfo, error) {
	response, err := e.send(ctx, request{method: http.MethodHead, path: "/containers/%s/archive", args: []string{name}, query: url.Values{"path": {path}}})
	if err != nil {
		return runtime.FileInfo{}, e.copyFault(ctx, err, "find", name, path)
	}
	_ = response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotFound:
		return runtime.FileInfo{}, fault.New(fault.NotFound, "there is no %s in %s", path, name)
	case !response.IsSuccess():
		return runtime.FileInfo{}, fault.New(fault.Internal, "find %s in %s: podman answers %s", path, name, response.Status)
	}
	var found struct {
		Name  string `json:"name"`
		IsDir bool   `json:"isDir"`
	}
	text, err := base64.URLEncoding.DecodeString(response.Header.Get("X-Docker-Container-Path-Stat"))
	if err == nil {
		err = json.Unmarshal(text, &found)
	}
	if err != nil {
		return runtime.FileInfo{}, fault.Wrap(fault.Internal, err, "find %s in %s: read podman's answer", path, name)
	}
	return runtime.FileInfo{Name: found.Name, Dir: found.IsDir}, nil
}

// CopyIn unpacks a tar archive into a directory of a container. Renamed maps the
// names at its top to new ones. The files belong to the user of the container.
func (e *Engine) CopyIn(ctx context.Context, name, path string, renamed map[string]string, from io.Reader) error {
	source := &remembering{Reader: from}
	query := url.Values{"path": {path}}
	if len(renamed) > 0 {
		text, _ := json.Marshal(renamed) // strings never fail
		query.Set("rename", string(text))
	}
	request := request{
		method: http.MethodPut, path: "/containers/%s/archive", args: []string{name}, body: source,
		query: query, header: http.Header{"Content-Type": {"application/x-tar"}},
	}
	err := e.ask(ctx, request, nil)
	if source.err != nil {
		return source.err // podman has seen only that it broke off
	}
	if err != nil {
		return e.copyFault(ctx, err, "write", name, path)
	}
	return nil
}

// remembering keeps the error of a reader.
type remembering struct {
	io.Reader
	err error
}

func (r *remembering) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// copyFault translates an error of podman's archives, which has the kind Internal for
// what a container refuses.
func (e *Engine) copyFault(ctx context.Context, err error, verb, name, path string) error {
	translated := e.translate(ctx, err, "%s %s in %s", verb, path, name)
	if f := (*fault.Error)(nil); errors.As(translated, &f) && f.Kind == fault.Internal {
		return fault.Wrap(fault.Invalid, err, "%s %s in %s", verb, path, name)
	}
	return translated
}
