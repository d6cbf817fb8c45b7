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
	goruntime "runtime"
	"strconv"
	"syscall"

	"github.com/containers/podman/v5/pkg/bindings"
	"github.com/containers/podman/v5/pkg/errorhandling"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// translate turns an error of the bindings into a *fault.Error, or returns the
// context's error if the context has ended. Every error that leaves this package
// is translated once.
func (e *Engine) translate(ctx context.Context, err error, format string, args ...any) error {
	doing := fmt.Sprintf(format, args...)
	if done := e.interrupted(ctx, err, doing); done != nil {
		return done
	}
	result := fault.Wrap(kindOf(err), missing(err), "%s", doing)
	if hint := hintFor(err); hint != "" {
		return result.WithHint("%s", hint)
	}
	return result
}

// hintFor returns what an operator can do about an error of podman; "" if that is
// not known.
func hintFor(err error) string {
	causes := causesOf(err)
	_, foreign := causes.kind(otherPlatform)
	var lacks *runtime.MissingError
	errors.As(missing(err), &lacks)
	switch {
	case isDiskFull(err):
		return diskHint
	case lacks != nil && lacks.What == runtime.MissingSecret:
		return "create it on that node: podman secret create " + lacks.Name + " FILE"
	case lacks != nil && lacks.What == runtime.MissingNetwork:
		return "create it on that node: podman network create " + lacks.Name
	case causes.has(secretEmpty):
		return "podman on that node has lost the value of a secret: remove the secret with podman secret rm, and create it again"
	case causes.has(networkFull):
		return "the containers' network has no free address, and a start-first update needs two for each component: give them a larger network, or spread the components over nodes"
	case causes.has(userRange):
		return "set user to ids from 0 to 2147483647"
	case causes.has(memoryTooLow):
		return "raise memory: the container needs some MiB before its program starts"
	case foreign:
		return platformHint
	case causes.has(rejected) && causes.has(withoutSigstore):
		return "this podman is built without the signatures of sigstore, and refuses every image under a policy that requires them: remove the image registry from its policy.json; the node's worker checks signatures itself"
	case causes.has(rejected):
		return "podman's own policy on this host, policy.json, refuses the image: sign it, or see what mcp node signatures prints there"
	case causes.has(plainHTTP):
		return "the image registry speaks plain http: list it as an insecure image registry"
	}
	return ""
}

// platformHint is the advice for an image of another architecture.
const platformHint = "the image is built for another architecture: build it for " + goruntime.GOOS + "/" + goruntime.GOARCH + ", or place the component on a node of the image's architecture"

// translateRegistry is translate for a push or a pull of an image, whose error
// may be the image registry's.
func (e *Engine) translateRegistry(ctx context.Context, err error, verb, image string) error {
	doing := verb + " " + image
	if done := e.interrupted(ctx, err, doing); done != nil {
		return done
	}
	result := fault.Wrap(kindOfCopy(err), err, "%s", doing)
	if hint := hintFor(err); hint != "" {
		return result.WithHint("%s", hint)
	}
	return result
}

// kindOfCopy returns the kind of an error of a push or a pull. An error that is
// not recognized is Internal: podman's status code means nothing here, such as
// 400 for a push that broke off.
func kindOfCopy(err error) fault.Kind {
	if isDiskFull(err) {
		return fault.DiskFull
	}
	kind, _ := causesOf(err).ofRegistry()
	return kind
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
	var late unanswered
	if errors.As(err, &late) {
		return fault.Wrap(fault.Unavailable, late, "%s: podman at %s hangs", doing, e.socket).
			WithHint("podman's API service accepts calls and does not answer: restart it on that node, for example with systemctl restart podman")
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
	if isDiskFull(err) {
		return fault.DiskFull
	}
	if kind, found := causesOf(err).kind(engineCauses); found {
		return kind
	}
	var model *errorhandling.ErrorModel
	if !errors.As(err, &model) {
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
