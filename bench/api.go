package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// api calls podman's API directly, to measure the least that the work can take.
type api struct {
	node   *node
	client http.Client
}

func newAPI(n *node) *api {
	return &api{node: n, client: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(n.socket, "unix://"))
		},
	}}}
}

// call makes one call and reads its answer to the end.
func (a *api) call(ctx context.Context, method, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://podman/v4.0.0/libpod"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode >= 300 || bytes.Contains(answer, []byte(`"error"`))) {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	return err
}

// update starts a new version beside the old one and removes the old one. It
// returns the milliseconds until the new one served, and until the update was
// complete.
func (a *api) update(ctx context.Context, image, name string, port int, old string) ([]float64, error) {
	started := time.Now()
	type mapping struct {
		HostIP        string `json:"host_ip"`
		HostPort      int    `json:"host_port"`
		ContainerPort int    `json:"container_port"`
	}
	spec := struct {
		Name         string            `json:"name"`
		Image        string            `json:"image"`
		Env          map[string]string `json:"env"`
		PortMappings []mapping         `json:"portmappings"`
	}{name, image, map[string]string{"PORT": fmt.Sprint(port)}, []mapping{{a.node.address, port, port}}}
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{http.MethodPost, "/images/pull?quiet=true&tlsVerify=false&reference=" + url.QueryEscape(image), nil},
		{http.MethodPost, "/containers/create", spec},
		{http.MethodPost, "/containers/" + name + "/start", nil},
	} {
		if err := a.call(ctx, c.method, c.path, c.body); err != nil {
			return nil, err
		}
	}
	for !serves(fmt.Sprintf("http://%s:%d/", a.node.address, port)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		time.Sleep(time.Millisecond)
	}
	served, err := servedAfter(started, fmt.Sprintf("http://%s:%d/", a.node.address, port))
	if err != nil {
		return nil, err
	}
	if err := a.call(ctx, http.MethodPost, "/containers/"+old+"/stop", nil); err != nil {
		return nil, err
	}
	if err := a.call(ctx, http.MethodDelete, "/containers/"+old, nil); err != nil {
		return nil, err
	}
	return []float64{served, milliseconds(time.Since(started))}, nil
}
