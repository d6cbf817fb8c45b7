package outside

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// paused waits, and reports whether the client goes on.
func (j *Judge) paused(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(cmp.Or(j.site.Pause, 20*time.Millisecond)):
		return true
	}
}

// client returns an HTTP client of the site.
func (j *Judge) client(keep bool) *http.Client { return j.clientAt(j.site.Dial, keep) }

// clientAt returns an HTTP client of the site that connects to an address; "" means that
// of the URL.
func (j *Judge) clientAt(address string, keep bool) *http.Client {
	return &http.Client{
		Timeout: j.long + time.Minute,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, host string) (net.Conn, error) {
				return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, cmp.Or(address, host))
			},
			TLSClientConfig:   &tls.Config{RootCAs: j.site.Roots},
			DisableKeepAlives: !keep,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// requests sends one request after another.
func (j *Judge) requests(ctx context.Context, c Client) {
	client := j.client(c == Kept)
	defer client.CloseIdleConnections()
	for j.paused(ctx) {
		text, err := do(ctx, client, http.MethodGet, j.site.URL+"/", nil)
		if err == nil {
			j.answered(strings.TrimSpace(text))
		}
		j.note(ctx, c, err)
	}
}

// tries sends one request after another, each to the next address of the site, and to the
// others where it fails.
func (j *Judge) tries(ctx context.Context) {
	var clients []*http.Client
	for _, address := range append([]string{j.site.Dial}, j.site.Others...) {
		client := j.clientAt(address, true)
		defer client.CloseIdleConnections()
		clients = append(clients, client)
	}
	for n := 0; j.paused(ctx); n++ {
		var failed error
		for i := range clients {
			text, err := do(ctx, clients[(n+i)%len(clients)], http.MethodGet, j.site.URL+"/", nil)
			if err == nil {
				j.answered(strings.TrimSpace(text))
				failed = nil
				break
			}
			failed = errors.Join(failed, err)
		}
		j.note(ctx, Trying, failed)
	}
}

// downloads reads one long response after another.
func (j *Judge) downloads(ctx context.Context) {
	client := j.client(true)
	defer client.CloseIdleConnections()
	const blockPause = 50 * time.Millisecond
	n := max(1, int(j.long/blockPause))
	for j.paused(ctx) {
		text, err := do(ctx, client, http.MethodGet, fmt.Sprintf("%s/download?n=%d&pause=%s", j.site.URL, n, blockPause), nil)
		if err == nil && len(text) != n<<10 {
			err = fmt.Errorf("%d bytes instead of %d", len(text), n<<10)
		}
		j.note(ctx, Downloading, err)
	}
}

// uploads sends one long request after another.
func (j *Judge) uploads(ctx context.Context) {
	client := j.client(true)
	defer client.CloseIdleConnections()
	for j.paused(ctx) {
		body := &slowBody{blocks: max(1, int(j.long/slowPause))}
		size := body.blocks << 10
		text, err := do(ctx, client, http.MethodPost, j.site.URL+"/upload", body)
		if err == nil && text != strconv.Itoa(size) {
			err = fmt.Errorf("%q bytes have arrived instead of %d", text, size)
		}
		j.note(ctx, Uploading, err)
	}
}

// slowPause is the time between two blocks of a slowBody.
const slowPause = 50 * time.Millisecond

// slowBody is a number of blocks of a kilobyte, each after a pause.
type slowBody struct{ blocks int }

func (b *slowBody) Read(p []byte) (int, error) {
	if b.blocks == 0 {
		return 0, io.EOF
	}
	b.blocks--
	time.Sleep(slowPause)
	return copy(p, make([]byte, 1<<10)), nil // the buffers of net/http are larger
}

// lines sends lines through an upgraded connection, which it opens again if it breaks.
func (j *Judge) lines(ctx context.Context) {
	for ctx.Err() == nil {
		j.note(ctx, Upgraded, j.converse(ctx))
		j.paused(ctx)
	}
}

// converse opens an upgraded connection and sends lines until it breaks.
func (j *Judge) converse(ctx context.Context) error {
	conn, err := j.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, j.site.URL+"/echo", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "echo")
	if err := request.Write(conn); err != nil {
		return err
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the upgrade was answered with %s", response.Status)
	}
	for n := 0; j.paused(ctx); n++ {
		line := fmt.Sprintf("line %d\n", n)
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(conn, line); err != nil {
			return fmt.Errorf("after %d lines: %w", n, err)
		}
		echoed, err := reader.ReadString('\n')
		if err != nil {
			return fmt.Errorf("after %d lines: %w", n, err)
		}
		if echoed != line {
			return fmt.Errorf("%q came back as %q", line, echoed)
		}
		j.note(ctx, Upgraded, nil)
	}
	return nil
}

// do sends a request and returns the body of its response, which must be a 200.
func do(ctx context.Context, client *http.Client, method, url string, body io.Reader) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("after %d bytes of the response: %w", len(text), err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %.200s", response.Status, text)
	}
	return string(text), nil
}
