package podman

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/containers/podman/v5/pkg/errorhandling"

	"github.com/metacircular/mcp/internal/fault"
)

// chain is an error of podman as the chain of its causes. Podman joins them with
// ": ", and its status codes do not determine the kind: some versions answer 500
// for a missing image, a taken name and a taken port alike. The parts of a chain
// are compared as a whole or from their beginning, and quoted strings are removed,
// so that the name of a file, an image or a container has no effect.
type chain string

// quoted matches a string as Go's %q prints it.
var quoted = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`"(?:[^"\\]|\\.)*"`) })

func chainOf(text string) chain {
	text = quoted().ReplaceAllString(strings.TrimSpace(text), `""`)
	return chain(": " + strings.ReplaceAll(text, "\n", ": ") + ": ")
}

// cause is a part, or several consecutive parts, of a chain.
type cause struct {
	text string
	kind fault.Kind
	// begins is set for a text that is the beginning of a part.
	begins bool
}

func (c chain) has(s cause) bool {
	if s.begins {
		return strings.Contains(string(c), ": "+s.text)
	}
	return strings.Contains(string(c), ": "+s.text+": ")
}

// kind returns the kind of the first cause that the chain has.
func (c chain) kind(causes []cause) (fault.Kind, bool) {
	for _, s := range causes {
		if c.has(s) {
			return s.kind, true
		}
	}
	return fault.Internal, false
}

// NoSigstore is the message of a podman whose code for signatures its distribution has
// removed. Under a policy that requires them it refuses every image.
const NoSigstore = "Debian-local change: sigstore disabled"

// The causes that have a hint, or are asked for by name.
var (
	noSecret = cause{text: "no such secret", kind: fault.Invalid}
	// secretEmpty is a secret whose value podman has lost, and not its name.
	secretEmpty    = cause{text: "no secret data with ID", kind: fault.Invalid}
	secretTaken    = cause{text: "secret name in use", kind: fault.Conflict}
	networkFull    = cause{text: "failed to find free IP", kind: fault.Invalid, begins: true}
	networkGone    = cause{text: "network not found", kind: fault.Invalid}
	addressTaken   = cause{text: "requested ip address", kind: fault.Unavailable, begins: true}
	interfaceGone  = cause{text: "no such network interface", kind: fault.Unavailable}
	networkUnknown = cause{text: "unable to find network with name or ID ", kind: fault.Invalid, begins: true}
	userRange      = cause{text: "uids and gids must be in range", kind: fault.Invalid, begins: true}
	plainHTTP      = cause{text: "server gave HTTP response to HTTPS client", kind: fault.Invalid}
	memoryTooLow   = cause{text: "unable to set memory limit to ", kind: fault.Invalid, begins: true}
	imageInUse     = cause{text: "image is in use by", kind: fault.Conflict, begins: true}
	layerGone      = cause{text: "layer not known", kind: fault.Unavailable}
	storeGone      = cause{text: "getting container from store", kind: fault.Internal, begins: true}
	processGone    = cause{text: "no such process", kind: fault.Unavailable}
	stepPrepared   = cause{text: "preparing container for next step", kind: fault.Unavailable}
	// rejected is podman's own policy, policy.json, which refuses an image.
	rejected = cause{text: "Source image rejected", kind: fault.Invalid}
	// withoutSigstore is how Debian's podman 4 refuses every signature: its code for them
	// is removed.
	withoutSigstore = cause{text: NoSigstore, kind: fault.Invalid, begins: true}
	// addingLayer is the part of a pull after the download.
	addingLayer = cause{text: "adding layer with blob ", kind: fault.Internal, begins: true}
)

// otherPlatform lists the causes that mean that the image is not for the host's
// architecture.
var otherPlatform = []cause{
	{text: "no image found in manifest list for architecture ", kind: fault.Invalid, begins: true},
	{text: "no image found in image index for architecture ", kind: fault.Invalid, begins: true},
	{text: "exec format error", kind: fault.Invalid}, // runc
	{text: "Exec format error", kind: fault.Invalid}, // crun
}

// commandCauses are those of a command that the OCI runtime could not execute.
var commandCauses = []cause{
	{text: "OCI runtime attempted to invoke a command that was not found", kind: fault.Invalid},
	{text: "OCI permission denied", kind: fault.Invalid},
	{text: "unable to start container process: exec", kind: fault.Invalid},
}

// engineCauses are those of the engine itself, the most specific first.
var engineCauses = join([]cause{
	{text: "address already in use", kind: fault.PortInUse},
	{text: "Address already in use (os error ", kind: fault.PortInUse, begins: true},
	{text: "port is already allocated", kind: fault.PortInUse},
	{text: "image not known", kind: fault.NotFound},
	{text: "no such container", kind: fault.NotFound},
	{text: "that name is already in use", kind: fault.Conflict, begins: true},
	{text: "container already exists", kind: fault.Conflict},
	{text: "UNIQUE constraint failed", kind: fault.Conflict},
	{text: "unable to find user ", kind: fault.Invalid, begins: true},
	{text: "unable to find group ", kind: fault.Invalid, begins: true},
	{text: "no matching entries in ", kind: fault.Invalid, begins: true},
	userRange,
	{text: "no command or entrypoint provided", kind: fault.Invalid, begins: true},
	networkUnknown,
	networkGone,
	networkFull,
	interfaceGone,
	addressTaken,
	{text: "network already exists", kind: fault.Conflict},
	{text: "network name ", kind: fault.Conflict, begins: true}, // already used
	{text: "network is being used", kind: fault.Conflict},
	noSecret,
	secretEmpty,
	{text: "secret is ambiguous", kind: fault.Invalid}, // a name that begins the ids of several
	secretTaken,
	{text: "invalid secret name", kind: fault.Invalid},
	{text: "secret data must be larger than 0 and less than ", kind: fault.Invalid, begins: true},
	{text: "invalid reference format", kind: fault.Invalid},
	{text: "repository name must be lowercase", kind: fault.Invalid},
	{text: "invalid argument", kind: fault.Invalid},
	{text: "minimum memory", kind: fault.Invalid, begins: true},
	{text: "Minimum memory", kind: fault.Invalid, begins: true},
	memoryTooLow,
	{text: "invalid mount option", kind: fault.Invalid},
	{text: "unknown mount option ", kind: fault.Invalid, begins: true},
	{text: "duplicate mount option passed", kind: fault.Invalid},
	{text: "invalid container path ", kind: fault.Invalid, begins: true},
	{text: "statfs ", kind: fault.Invalid, begins: true}, // the source of a bind mount does not exist
}, settingCauses, commandCauses, otherPlatform)

// settingCauses are those of settings that the engine, its host or the image does not
// have.
var settingCauses = []cause{
	{text: `workdir "" does not exist on container `, kind: fault.Invalid, begins: true},
	{text: "container-init binary not found on the host", kind: fault.Invalid},
	{text: "unresolvable CDI devices ", kind: fault.Invalid, begins: true},
	{text: "opening seccomp profile failed", kind: fault.Invalid},
	{text: "keep-id is only supported in rootless mode", kind: fault.Invalid},
	{text: "nomap is only supported in rootless mode", kind: fault.Invalid},
	{text: "stat /dev/", kind: fault.Invalid, begins: true},
	{text: "error setting rlimit", kind: fault.Invalid, begins: true}, // runc
	{text: "error setting rlimits for ready process", kind: fault.Invalid},
	{text: "setrlimit ", kind: fault.Invalid, begins: true},        // crun
	{text: "write sysctl key ", kind: fault.Invalid, begins: true}, // runc
	{text: "open `/proc/sys/", kind: fault.Invalid, begins: true},  // crun
	{text: "Unable to apply apparmor profile", kind: fault.Invalid},
	{text: "apparmor failed to apply profile", kind: fault.Invalid},
	{text: "this container is not logging output", kind: fault.Invalid},
	{text: "unknown capability ", kind: fault.Invalid, begins: true},
}

// networkCauses are Go's errors of a connection that may succeed later.
var networkCauses = []cause{
	{text: "connection refused", kind: fault.Unavailable},
	{text: "connection reset by peer", kind: fault.Unavailable},
	{text: "connection timed out", kind: fault.Unavailable},
	{text: "broken pipe", kind: fault.Unavailable},
	{text: "use of closed network connection", kind: fault.Unavailable},
	{text: "no such host", kind: fault.Unavailable},
	{text: "no route to host", kind: fault.Unavailable},
	{text: "host is down", kind: fault.Unavailable},
	{text: "network is unreachable", kind: fault.Unavailable},
	{text: "server misbehaving", kind: fault.Unavailable},
	{text: "Temporary failure in name resolution", kind: fault.Unavailable},
	{text: "i/o timeout", kind: fault.Unavailable, begins: true},
	{text: "TLS handshake timeout", kind: fault.Unavailable},
	{text: "timeout awaiting response headers", kind: fault.Unavailable},
	{text: "net/http: timeout awaiting response headers", kind: fault.Unavailable},
	{text: "context deadline exceeded", kind: fault.Unavailable, begins: true},
	{text: "request canceled", kind: fault.Unavailable, begins: true}, // Client.Timeout
	{text: "server closed idle connection", kind: fault.Unavailable},
	{text: "server sent GOAWAY and closed the connection", kind: fault.Unavailable, begins: true},
	{text: "stream error", kind: fault.Unavailable},
	{text: "EOF", kind: fault.Unavailable},
	{text: "unexpected EOF", kind: fault.Unavailable},
}

// registryCauses are those of an image registry, as podman reports them, beside
// its status and the errors of the network.
var registryCauses = join([]cause{
	{text: "image not known", kind: fault.NotFound},
	{text: "invalid reference format", kind: fault.Invalid},
	{text: "repository name must be lowercase", kind: fault.Invalid},
	plainHTTP,
	{text: "manifest unknown", kind: fault.NotFound},
	{text: "name unknown", kind: fault.NotFound},
	{text: "repository name not known to registry", kind: fault.NotFound},
	{text: "unauthorized", kind: fault.Unauthorized},
	{text: "authentication required", kind: fault.Unauthorized},
	{text: "invalid username/password", kind: fault.Unauthorized},
	{text: "denied", kind: fault.Unauthorized},
	{text: "requested access to the resource is denied", kind: fault.Unauthorized},
	{text: "toomanyrequests", kind: fault.Unavailable},
	{text: "too many requests to registry", kind: fault.Unavailable},
}, otherPlatform, networkCauses)

func join(lists ...[]cause) []cause {
	var all []cause
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// answerStatus matches the HTTP status that an image registry or another server
// answered, if podman's error states it.
var answerStatus = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`: (?:received unexpected HTTP status: |[^:]*invalid status code from registry |StatusCode: |` +
		`error parsing HTTP |invalid response status )(\d{3})\b|: [^:]*(\d{3}) \([A-Z][A-Za-z ]+\): `)
})

// ofStatus returns the kind of an answer's status.
func (c chain) ofStatus() (fault.Kind, bool) {
	for _, match := range answerStatus().FindAllStringSubmatch(string(c), -1) {
		switch status, _ := strconv.Atoi(match[1] + match[2]); {
		case status == http.StatusUnauthorized, status == http.StatusForbidden:
			return fault.Unauthorized, true
		case status == http.StatusNotFound:
			return fault.NotFound, true
		case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
			return fault.Unavailable, true
		}
	}
	return fault.Internal, false
}

// ofRegistry returns the kind of an error of a push, a pull or a base image. What
// podman's storage reports of a layer that has arrived does not concern the image
// registry, and names the files in the layer.
func (c chain) ofRegistry() (fault.Kind, bool) {
	if c.has(addingLayer) {
		return fault.Internal, false
	}
	if kind, found := c.kind(registryCauses); found {
		return kind, true
	}
	if kind, found := c.ofStatus(); found {
		return kind, true
	}
	return c.kind([]cause{rejected})
}

// diskIsFull matches an error of the kernel at the end of a chain, and what
// podman adds if the process that unpacks a layer reports it.
var diskIsFull = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)(?:^|: )(?:no space left on device|disk quota exceeded)(?:\): exit status \d+)?\s*$`)
})

// isDiskFull reports whether a write failed because the disk was full.
func isDiskFull(err error) bool {
	var model *errorhandling.ErrorModel
	if errors.As(err, &model) {
		return diskIsFull().MatchString(model.Because) || diskIsFull().MatchString(model.Message)
	}
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || diskIsFull().MatchString(err.Error())
}

// diskHint is the advice for a full disk.
const diskHint = "the disk that holds podman's storage is full: mcp node show NODE reports its size; podman image prune --all removes images that no container uses"

// causesOf returns the chain of an error of podman's API. It ends with the root
// cause, which the answer names separately.
func causesOf(err error) chain {
	var model *errorhandling.ErrorModel
	if errors.As(err, &model) {
		return chainOf(model.Message + "\n" + model.Because)
	}
	return chainOf(err.Error())
}
