package podman

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/containers/podman/v5/pkg/bindings"
	"github.com/containers/podman/v5/pkg/errorhandling"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/imageref"
)

// symptom is a part of an error's text that determines its kind. Podman's status
// codes do not: some versions answer 500 for a missing image, a taken name and a
// taken port alike.
type symptom struct {
	text string
	kind fault.Kind
}

// networkFull is netavark's error for a network without a free address.
const networkFull = "failed to find free IP"

// noSecret matches podman's error for a missing secret.
var noSecret = regexp.MustCompile(`no secret with name or id "([^"]+)"`)

// symptoms are those of the engine itself, the most specific first.
var symptoms = []symptom{
	{"address already in use", fault.PortInUse},
	{"port is already allocated", fault.PortInUse},
	{"image not known", fault.NotFound},
	{"no such container", fault.NotFound},
	{"name is already in use", fault.Conflict},
	{"name already in use", fault.Conflict},
	{"UNIQUE constraint failed", fault.Conflict},
	{"unable to find user", fault.Invalid},
	{"unable to find group", fault.Invalid},
	{"no matching entries in", fault.Invalid},
	{"executable file not found", fault.Invalid},
	{"command that was not found", fault.Invalid},
	{"OCI permission denied", fault.Invalid},
	{"unable to start container process: exec", fault.Invalid},
	{"no command or entrypoint", fault.Invalid},
	{"unable to find network", fault.Invalid},
	{"network not found", fault.Invalid},
	{networkFull, fault.Invalid},
	{"no such secret", fault.Invalid},
	{"invalid reference format", fault.Invalid},
	{"invalid argument", fault.Invalid},
	{"inimum memory", fault.Invalid},
	{"unable to set memory limit", fault.Invalid},
	{"mount option", fault.Invalid}, // unknown, or contradicts another
	{"statfs ", fault.Invalid},      // the source of a bind mount does not exist
}

// registrySymptoms are those of an image registry, as podman reports them. A bare
// status code is not among them, because digests contain such numbers.
var registrySymptoms = []symptom{
	{"image not known", fault.NotFound},
	{"invalid reference format", fault.Invalid},
	{"HTTP response to HTTPS client", fault.Invalid},
	{"manifest unknown", fault.NotFound},
	{"name unknown", fault.NotFound},
	{"repository name not known", fault.NotFound},
	{"unauthorized", fault.Unauthorized},
	{"Unauthorized", fault.Unauthorized},
	{"authentication required", fault.Unauthorized},
	{"invalid username/password", fault.Unauthorized},
	{"denied", fault.Unauthorized},
	{"Forbidden", fault.Unauthorized},
	{"StatusCode: 401", fault.Unauthorized},
	{"StatusCode: 403", fault.Unauthorized},
	{"Not Found", fault.NotFound},
	{"StatusCode: 404", fault.NotFound},
	{"connection refused", fault.Unavailable},
	{"connection reset", fault.Unavailable},
	{"broken pipe", fault.Unavailable},
	{"connection broken", fault.Unavailable},
	{"closed network connection", fault.Unavailable},
	{"no such host", fault.Unavailable},
	{"no route to host", fault.Unavailable},
	{"network is unreachable", fault.Unavailable},
	{"server misbehaving", fault.Unavailable},
	{"timeout", fault.Unavailable},
	{"deadline exceeded", fault.Unavailable},
	{"toomanyrequests", fault.Unavailable},
	{"Too Many Requests", fault.Unavailable},
	{"EOF", fault.Unavailable},
	{"received unexpected HTTP status: 5", fault.Unavailable},
	{"StatusCode: 5", fault.Unavailable},
	{"Internal Server Error", fault.Unavailable},
	{"Bad Gateway", fault.Unavailable},
	{"Service Unavailable", fault.Unavailable},
	{"Gateway Timeout", fault.Unavailable},
}

func diagnose(text string, by []symptom) (fault.Kind, bool) {
	for _, s := range by {
		if strings.Contains(text, s.text) {
			return s.kind, true
		}
	}
	return fault.Internal, false
}

// translate turns an error of the bindings into a *fault.Error, or returns the
// context's error if the context has ended. Every error that leaves this package
// is translated once.
func (e *Engine) translate(ctx context.Context, err error, format string, args ...any) error {
	doing := fmt.Sprintf(format, args...)
	if done := e.interrupted(ctx, err, doing); done != nil {
		return done
	}
	result := fault.Wrap(kindOf(err), err, "%s", doing)
	if missing := noSecret.FindStringSubmatch(err.Error()); missing != nil {
		return result.WithHint("create it on that node: podman secret create %s FILE", missing[1])
	}
	if strings.Contains(err.Error(), networkFull) {
		return result.WithHint("the containers' network has no free address, and a start-first update needs two for each component: give them a larger network, or spread the components over nodes")
	}
	return result
}

// translateRegistry is translate for a push or a pull of an image, whose error
// may be the image registry's.
func (e *Engine) translateRegistry(ctx context.Context, err error, verb, image string) error {
	doing := verb + " " + image
	if done := e.interrupted(ctx, err, doing); done != nil {
		return done
	}
	// Without a symptom the error is Internal: podman's status code means
	// nothing here, such as 400 for a push that broke off.
	kind, _ := diagnose(withoutName(err.Error(), image), registrySymptoms)
	result := fault.Wrap(kind, err, "%s", doing)
	if strings.Contains(err.Error(), "HTTP response to HTTPS client") {
		return result.WithHint("the image registry speaks plain http: list it as an insecure image registry")
	}
	return result
}

// withoutName removes an image's name from a text, because an image may be called
// "timeout" or "denied".
func withoutName(text, image string) string {
	ref, err := imageref.Parse(image)
	if err != nil {
		return text
	}
	return strings.ReplaceAll(text, ref.Repository, "")
}

// interrupted returns the error for the cases that all translations share: an
// error that is translated already, a context that has ended, a podman that
// cannot be reached. It returns nil otherwise.
func (e *Engine) interrupted(ctx context.Context, err error, doing string) error {
	var translated *fault.Error
	if errors.As(err, &translated) {
		return err
	}
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s: %w", doing, ended)
	}
	if cause := unreachable(err); cause != nil {
		return fault.Wrap(fault.Unavailable, cause, "%s: podman at %s does not answer", doing, e.socket).
			WithHint("start podman's API service: podman system service --time=0 %s", e.socket)
	}
	return nil
}

// unreachable returns the cause of an error that means that podman's service is
// not running, or ended during the call; nil for any other error.
func unreachable(err error) error {
	var connect bindings.ConnectError
	if errors.As(err, &connect) {
		err = connect.Err
	}
	var transport *url.Error
	if errors.As(err, &transport) {
		return transport.Err
	}
	var network net.Error
	if connect.Err != nil || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return err
	}
	return nil
}

// kindOf returns the kind of an error of podman itself.
func kindOf(err error) fault.Kind {
	text := err.Error()
	var model *errorhandling.ErrorModel
	isModel := errors.As(err, &model)
	if isModel {
		text += "\n" + model.Because
	}
	if kind, found := diagnose(text, symptoms); found {
		return kind
	}
	if !isModel {
		return fault.Internal
	}
	switch model.ResponseCode {
	case http.StatusNotFound:
		return fault.NotFound
	case http.StatusConflict:
		return fault.Conflict
	case http.StatusBadRequest:
		return fault.Invalid
	}
	return fault.Internal
}

var (
	listenPort = regexp.MustCompile(`listen (?:tcp|udp)[46]? \S*:(\d+)`)
	anyPort    = regexp.MustCompile(`:(\d+)\b[^:]*: address already in use`)
)

// refusedPort returns the host port that could not be bound, according to an
// error's text; 0 if the text names none.
func refusedPort(text string) int {
	for _, pattern := range []*regexp.Regexp{listenPort, anyPort} {
		if match := pattern.FindStringSubmatch(text); match != nil {
			port, err := strconv.Atoi(match[1])
			if err == nil {
				return port
			}
		}
	}
	return 0
}
