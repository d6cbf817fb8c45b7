package outside

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Site is where clients reach the service.
type Site struct {
	// URL has the scheme, the hostname and the port.
	URL string
	// Dial is the address that every connection goes to, as host:port, whatever the
	// hostname; "" means that of the URL.
	Dial string
	// Others are more addresses of the service, for clients that try again.
	Others []string
	// Roots verify the certificate; nil for those of the host.
	Roots *x509.CertPool
	// Pause is the time between two requests, or lines, of a client; the default is 20 ms.
	// Most requests are a handshake at an edge: with less of it, clients and edges take a
	// third of the processors.
	Pause time.Duration
}

// Client is one kind of client, by its name in a report.
type Client string

// The clients.
const (
	// Fresh opens a connection for each request.
	Fresh Client = "new connections"
	// Kept sends its requests through connections that it keeps.
	Kept Client = "a connection kept alive"
	// Upgraded has an upgraded connection, as a websocket is one, and sends a line
	// through it now and then.
	Upgraded Client = "an upgraded connection"
	// Downloading reads long responses.
	Downloading Client = "a download"
	// Uploading sends long requests.
	Uploading Client = "an upload"
	// Trying sends its requests to each address of the service in turn, and one that fails
	// to the next address at once.
	Trying Client = "a client that tries again"
)

// Clients are those that need one address.
func Clients() []Client { return []Client{Fresh, Kept, Upgraded, Downloading, Uploading} }

// Failure is a request that failed, or a connection that broke.
type Failure struct {
	Client Client
	At     time.Time
	Err    error
}

func (f Failure) String() string {
	return fmt.Sprintf("%s %s: %v", f.At.Format("15:04:05.000"), f.Client, f.Err)
}

// Report is what the clients have seen.
type Report struct {
	// Succeeded counts requests, lines, downloads and uploads by client.
	Succeeded map[Client]int
	Failures  []Failure
	// Versions are those that answered, in the order in which they first did.
	Versions []string
}

// Judge is a set of clients at work.
type Judge struct {
	site   Site
	long   time.Duration
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu     sync.Mutex
	report Report
}

// Watch starts clients, which work until Stop. A download and an upload take long each.
func Watch(site Site, long time.Duration, clients ...Client) *Judge {
	ctx, cancel := context.WithCancel(context.Background())
	j := &Judge{site: site, long: long, cancel: cancel, report: Report{Succeeded: map[Client]int{}}}
	for _, c := range clients {
		work := map[Client]func(context.Context){
			Fresh:       func(ctx context.Context) { j.requests(ctx, Fresh) },
			Kept:        func(ctx context.Context) { j.requests(ctx, Kept) },
			Upgraded:    j.lines,
			Downloading: j.downloads,
			Uploading:   j.uploads,
			Trying:      j.tries,
		}[c]
		j.done.Go(func() { work(ctx) })
	}
	return j
}

// Stop ends the clients, and returns what they have seen. What a client was in the
// middle of does not count.
func (j *Judge) Stop() Report {
	j.cancel()
	j.done.Wait()
	return j.Report()
}

// Report returns what the clients have seen so far.
func (j *Judge) Report() Report {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := Report{Succeeded: map[Client]int{}, Failures: slices.Clone(j.report.Failures), Versions: slices.Clone(j.report.Versions)}
	for c, n := range j.report.Succeeded {
		r.Succeeded[c] = n
	}
	return r
}

// note adds an outcome to the report, unless the client has been stopped.
func (j *Judge) note(ctx context.Context, c Client, err error) {
	if ctx.Err() != nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil {
		j.report.Succeeded[c]++
		return
	}
	j.report.Failures = append(j.report.Failures, Failure{Client: c, At: time.Now(), Err: err})
}

// answered notes the version that has answered.
func (j *Judge) answered(version string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Contains(j.report.Versions, version) {
		j.report.Versions = append(j.report.Versions, version)
	}
}

// dial connects to the site; with https it is a TLS connection.
func (j *Judge) dial(ctx context.Context) (net.Conn, error) {
	u, err := url.Parse(j.site.URL)
	if err != nil {
		return nil, err
	}
	d := &net.Dialer{Timeout: 10 * time.Second}
	if u.Scheme != "https" {
		return d.DialContext(ctx, "tcp", j.address(u.Host))
	}
	secure := &tls.Dialer{NetDialer: d, Config: &tls.Config{RootCAs: j.site.Roots, ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}}}
	return secure.DialContext(ctx, "tcp", j.address(u.Host))
}

func (j *Judge) address(host string) string {
	if j.site.Dial != "" {
		return j.site.Dial
	}
	return host
}
