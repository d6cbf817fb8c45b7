package podman

import (
	"context"
	"regexp"
	"strings"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
)

// list returns podman's list of the selected containers.
func (e *Engine) list(ctx context.Context, s runtime.Selection) ([]listed, error) {
	wanted := map[string][]string{}
	for key, value := range s.Labels {
		if value != "" {
			key += "=" + value
		}
		wanted["label"] = append(wanted["label"], key)
	}
	if len(s.Names) > 0 { // one expression, because podman compiles each for each container
		names := make([]string, 0, len(s.Names))
		for _, name := range s.Names {
			names = append(names, regexp.QuoteMeta(name))
		}
		wanted["name"] = []string{"^(" + strings.Join(names, "|") + ")$"}
	}
	query := filters(wanted)
	query.Set("all", "true")
	var found []listed
	err := e.askList(ctx, get("/containers/json").with(query), &found, "list containers")
	return found, err
}

// listed is the part of a container's entry in podman's list that is used.
type listed struct {
	ID, Image, State string
	Names, Networks  []string
	Labels           map[string]string
	Ports            []mapping
	ExitCode         int
}

// mapping is a range of published ports in podman's list.
type mapping struct {
	HostIP        string `json:"host_ip"`
	HostPort      int    `json:"host_port"`
	ContainerPort int    `json:"container_port"`
	Range         int    `json:"range"`
	Protocol      string `json:"protocol"`
}

// listImages returns podman's list of the images that match a filter.
func (e *Engine) listImages(ctx context.Context, filter, value string) ([]imageSummary, error) {
	var found []imageSummary
	err := e.askList(ctx, get("/images/json").with(filters(map[string][]string{filter: {value}})), &found, "list images")
	return found, err
}

// imageSummary is the part of an image's entry in podman's list that is used.
type imageSummary struct {
	ID, ParentID string
	Names        []string
	History      []string // the names that the image has had
	Containers   int      // the number of containers that use the image
}

// askList asks for a list. Podman reads which objects there are, and then each of them: if one
// is removed in between, podman answers that it does not exist, and is asked again.
func (e *Engine) askList(ctx context.Context, r request, answer any, doing string) error {
	for try := 1; ; try++ {
		cause := e.ask(ctx, r, answer)
		if cause == nil {
			return nil
		}
		err := e.translate(ctx, cause, "%s", doing)
		if !fault.Is(err, fault.NotFound) {
			return err
		}
		if try == listTries {
			return fault.Wrap(fault.Unavailable, cause, "%s: something in it is removed each time", doing)
		}
		if err := pause(ctx); err != nil {
			return e.translate(ctx, err, "%s", doing)
		}
	}
}

// listTries bounds the requests for a list that podman fails to complete.
const listTries = 20
