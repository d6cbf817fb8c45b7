package parts

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// PingPodman checks that a podman answers at a socket, "unix:///…".
func PingPodman(ctx context.Context, socket string) error {
	return ping(ctx, "http://podman/_ping", func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(socket, "unix://"))
	})
}

// ping checks that a URL answers with 200. Dial connects; nil means the default.
func ping(ctx context.Context, url string, dial func(context.Context, string, string) (net.Conn, error)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return nil
}
