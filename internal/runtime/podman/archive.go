package podman

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/metacircular/mcp/internal/fault"
)

// CopyOut writes a file or a directory of a container as a tar archive. An archive of
// which podman has sent only a part has no end: the reader has to look for that.
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

// CopyIn unpacks a tar archive into a directory of a container, which must exist. The
// owners are those in the archive.
func (e *Engine) CopyIn(ctx context.Context, name, path string, from io.Reader) error {
	source := &remembering{Reader: from}
	request := request{
		method: http.MethodPut, path: "/containers/%s/archive", args: []string{name}, body: source,
		query: url.Values{"path": {path}}, header: http.Header{"Content-Type": {"application/x-tar"}},
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
