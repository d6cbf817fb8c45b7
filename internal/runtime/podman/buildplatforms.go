package podman

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/building"
	"github.com/metacircular/mcp/internal/runtime/podman/logins"
	"github.com/metacircular/mcp/internal/runtime/podman/marks"
)

// platformImages returns the local names of the images for several platforms.
func (e *Engine) platformImages(ctx context.Context, tag string) ([]string, error) {
	found, err := e.listImages(ctx, "reference", tag+"_*")
	var names []string
	for _, image := range found {
		for _, name := range image.Names {
			if building.IsPlatformTag(name, tag) {
				names = append(names, name)
			}
		}
	}
	return names, err
}

// pushList pushes the images for several platforms, and a list of them as the tag. It
// returns the digest of the list.
func (e *Engine) pushList(ctx context.Context, spec runtime.PushSpec) (sent string, err error) {
	list := marks.NewBuild().Image("list")
	images := url.Values{}
	for _, platform := range spec.Platforms {
		images.Add("images", "containers-storage:"+building.PlatformTag(spec.Image, platform))
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		_ = e.ask(last, del("/manifests/%s", list), nil) // one that is left is only a list
	}()
	if err := e.ask(ctx, post("/manifests/%s", list).with(images), nil); err != nil {
		return "", err
	}
	header, err := logins.Header(e.authFile, logins.ForCopy)
	if err != nil {
		return "", err
	}
	r := post("/manifests/%s/registry/%s", list, spec.Image).with(url.Values{
		"all": {"true"}, "tlsVerify": {strconv.FormatBool(!spec.Insecure)}, "quiet": {"true"},
	})
	r.header = header
	response, err := e.send(ctx, r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if !response.IsSuccess() {
		return "", response.Process(nil)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && strings.Contains(string(text), `"error"`) {
		err = errors.New(strings.TrimSpace(string(text)))
	}
	var pushed struct{ ID string }
	_ = json.Unmarshal(text, &pushed)
	return pushed.ID, err
}

// cleanupTimeout bounds the removal of what only one build needed.
const cleanupTimeout = 30 * time.Second
