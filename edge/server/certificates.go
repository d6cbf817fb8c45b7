package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"go.uber.org/zap"

	"github.com/metacircular/mcp/edge/table"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/fleet"
)

// fallback is the name of the certificate for clients that name no hostname, or one that
// no route has, if a route serves any hostname.
const fallback = "localhost"

// mostRetry is the longest time between two attempts to obtain a certificate.
const mostRetry = time.Hour

// sealingRetry is the time before the second attempt to read what is not sealed to this
// edge. It doubles with each.
const sealingRetry = 2 * time.Second

// firstCheck is the time before an edge first checks whether another one has obtained what
// it could not. It doubles with each, up to mostCheck.
const (
	firstCheck = 2 * time.Second
	mostCheck  = 5 * time.Minute
)

// loadingTime is how long the ports wait for certificates that are on disk.
const loadingTime = 3 * time.Second

// firstTime is how long a handshake waits for the first attempt to obtain the certificate
// of its hostname: a route may be asked for as soon as it is published.
const firstTime = 10 * time.Second

// cleaning is how often the storage is cleaned.
const cleaning = 24 * time.Hour

// certificates holds those of the hostnames in a table, and no others: a name in a
// client's handshake obtains no certificate.
type certificates struct {
	options Options
	life    context.Context
	log     *zap.Logger
	files   *files
	cache   *certmagic.Cache
	// own and public are how certificates of each authority are managed; public is nil if
	// there is none.
	own, public *certmagic.Config
	acme        *certmagic.ACMEIssuer
	authority   *authority
	view        atomic.Pointer[view]
	stop        func() // ends the upkeep of the cache

	mu      sync.Mutex
	managed map[string]*managed
}

// managed is a hostname of which a certificate is managed.
type managed struct {
	config  *certmagic.Config
	stop    context.CancelFunc
	attempt context.CancelFunc // ends the attempt to obtain it
	tried   chan struct{}      // closed after the first attempt to load or obtain it
	refused error              // why the last attempt failed
	problem string
	failed  time.Time
}

func newCertificates(ctx context.Context, o Options) *certificates {
	c := &certificates{options: o, life: ctx, log: zap.New(bridge{o.Log.Handler()}), managed: map[string]*managed{}, files: newFiles(o.Files)}
	c.view.Store(newView(nil))
	c.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert:   func(cert certmagic.Certificate) (*certmagic.Config, error) { return c.of(cert.Names[0]), nil },
		RenewCheckInterval: o.Renewal.Check,
		Logger:             c.log,
	})
	c.stop = sync.OnceFunc(c.cache.Stop)
	c.authority = &authority{storage: o.Storage, cache: o.cache, export: filepath.Join(o.Data, "ca", "root.crt")}
	// What the server's own authority signs is not shared: each edge signs for itself,
	// even while the storage is away.
	c.own = c.newConfig(cmp.Or(o.cache, o.Storage), nil)
	c.own.Issuers = []certmagic.Issuer{c.authority}
	c.own.DisableARI = true
	if o.ACME != nil {
		c.public = c.newConfig(o.Storage, o.cache)
		c.acme = certmagic.NewACMEIssuer(c.public, acmeIssuer(o, c.log))
		c.public.Issuers = []certmagic.Issuer{c.acme}
	}
	return c
}

func (c *certificates) newConfig(storage, cache certmagic.Storage) *certmagic.Config {
	return certmagic.New(c.cache, certmagic.Config{
		Storage:            storage,
		LocalCache:         cache,
		RenewalWindowRatio: c.options.Renewal.Window,
		OnEvent:            c.event,
		ShouldEmitFunc:     func(event string) bool { return event == "cert_failed" || event == "cert_obtained" },
		Logger:             c.log,
	})
}

func acmeIssuer(o Options, log *zap.Logger) certmagic.ACMEIssuer {
	issuer := certmagic.ACMEIssuer{
		CA: o.ACME.Directory, TestCA: "", Email: o.ACME.Email, Agreed: true, TrustedRoots: o.ACME.Roots,
		ListenHost: o.Address, AltHTTPPort: o.listening(80), AltTLSALPNPort: o.listening(443), Logger: log,
	}
	if dns := o.ACME.DNS; dns != nil {
		issuer.DNS01Solver = &certmagic.DNS01Solver{DNSManager: certmagic.DNSManager{
			DNSProvider: dns.Provider, Resolvers: dns.Resolvers, Logger: log,
		}}
	}
	return issuer
}

// of returns how the certificate of a hostname is managed.
func (c *certificates) of(name string) *certmagic.Config {
	if c.public == nil || private(name) {
		return c.own
	}
	return c.public
}

// private reports whether a hostname is one that no public authority signs: localhost,
// a name without a dot, an address, or one below .localhost, .internal, .local or
// .home.arpa.
func private(name string) bool {
	name = strings.TrimPrefix(name, "*.")
	return !strings.Contains(name, ".") || !certmagic.SubjectQualifiesForPublicCert(name) || net.ParseIP(name) != nil
}

// apply makes the certificates those of the view's hostnames, and returns why some
// cannot be. It waits a while for those on disk: a client that connects to a port which
// is opened, or taken from another process, must not come before them.
func (c *certificates) apply(v *view) (problems []string) {
	problems, loading := c.change(v)
	end := time.NewTimer(loadingTime)
	defer end.Stop()
	for _, loaded := range loading {
		select {
		case <-loaded:
		case <-end.C:
			return problems
		}
	}
	return problems
}

// change is apply, which returns what is closed when a certificate on disk is loaded.
func (c *certificates) change(v *view) (problems []string, loading []chan struct{}) {
	names := maps.Clone(v.secure)
	if v.anonymous {
		names[fallback] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.view.Store(v)
	for name, m := range c.managed {
		if !names[name] || c.files.cover(name) {
			m.stop()
			delete(c.managed, name)
			c.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: name}})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		switch config := c.of(name); {
		case c.files.cover(name):
		case config == c.public && strings.HasPrefix(name, "*.") && c.options.ACME.DNS == nil:
			problems = append(problems, fmt.Sprintf("%s has no certificate: an authority signs a wildcard only after a DNS-01 challenge; set edge.acme.dns, or name a file in edge.certificates", name))
		case c.managed[name] == nil:
			ctx, cancel := context.WithCancel(c.life)
			m := &managed{config: config, stop: cancel, attempt: func() {}, tried: make(chan struct{})}
			c.managed[name] = m
			if c.onDisk(name, config) {
				loading = append(loading, m.tried)
			}
			go c.manage(ctx, name, m)
		}
	}
	return problems, loading
}

// onDisk reports whether the certificate of a hostname is on this host's disk.
func (c *certificates) onDisk(name string, config *certmagic.Config) bool {
	disk := cmp.Or(c.options.cache, c.options.Storage)
	return disk.Exists(c.life, certmagic.StorageKeys.SiteCert(config.Issuers[0].IssuerKey(), name))
}

// manage loads the certificate of a hostname, or obtains it, until that succeeds. Then
// it is in the cache, which renews it.
func (c *certificates) manage(ctx context.Context, name string, m *managed) {
	sealing := sealingRetry
	tried := sync.OnceFunc(func() { close(m.tried) })
	defer tried()
	for wait := c.options.Renewal.Retry; ctx.Err() == nil; wait = min(2*wait, mostRetry) {
		err := c.load(ctx, name, m)
		tried()
		if err == nil || ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		if errors.Is(err, context.Canceled) { // event has recorded why
			err = m.refused
		} else {
			m.problem, m.failed = err.Error(), time.Now()
		}
		c.mu.Unlock()
		pause := wait
		if fault.Is(err, fault.Unauthorized) { // another edge is about to seal it to this one
			pause = min(wait, sealing)
			sealing *= 2
		}
		c.pause(ctx, name, m.config, pause)
	}
}

// pause waits until the next attempt to obtain a certificate, or until another edge has
// obtained it: whatever kept this one from the authority need not keep another.
func (c *certificates) pause(ctx context.Context, name string, config *certmagic.Config, pause time.Duration) {
	end := time.NewTimer(pause)
	defer end.Stop()
	check := time.NewTimer(firstCheck)
	defer check.Stop()
	for next := 2 * firstCheck; ; next = min(2*next, mostCheck) {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-check.C:
		}
		if config == c.public && config.Storage.Exists(ctx, certmagic.StorageKeys.SiteCert(config.Issuers[0].IssuerKey(), name)) {
			return
		}
		check.Reset(next)
	}
}

// load loads the certificate of a hostname into the cache; it obtains one if the
// storage has none.
func (c *certificates) load(ctx context.Context, name string, m *managed) error {
	cert, err := m.config.CacheManagedCertificate(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		attempt, cancel := context.WithCancel(ctx)
		defer cancel()
		c.mu.Lock()
		m.attempt = cancel
		c.mu.Unlock()
		if err := m.config.ObtainCertAsync(attempt, name); err != nil {
			return err
		}
		cert, err = m.config.CacheManagedCertificate(ctx, name)
	}
	if err != nil {
		return err
	}
	if cert.NeedsRenewal(m.config) {
		_ = c.cache.RenewManagedCertificates(ctx) // in a queue; it never fails at once
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.problem, m.failed = "", time.Time{}
	if c.managed[name] != m { // withdrawn meanwhile
		c.cache.RemoveManaged([]certmagic.SubjectIssuer{{Subject: name}})
	}
	return nil
}

// clean removes from the storage what has expired long ago.
func (c *certificates) clean() {
	for _, storage := range []certmagic.Storage{c.options.Storage, c.options.cache} {
		if storage == nil {
			continue
		}
		err := certmagic.CleanStorage(c.life, storage, certmagic.CleanStorageOptions{
			Logger: c.log, Interval: cleaning / 2, OCSPStaples: true, ExpiredCerts: true, ExpiredCertGracePeriod: 30 * 24 * time.Hour,
		})
		if err != nil && c.life.Err() == nil {
			c.options.Log.Info("the storage of certificates was not cleaned", "error", err)
		}
	}
}

// event records what becomes of the attempts to obtain a certificate.
func (c *certificates) event(_ context.Context, event string, data map[string]any) error {
	name, _ := data["identifier"].(string)
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.managed[name]
	if m == nil {
		return nil
	}
	switch event {
	case "cert_failed":
		err, _ := data["error"].(error)
		m.refused, m.problem, m.failed = err, fmt.Sprint(err), time.Now()
		c.options.Log.Warn("a certificate could not be obtained", "hostname", name, "renewal", data["renewal"], "error", err)
		m.attempt() // this package times the next one, unless it renews
	case "cert_obtained":
		m.problem, m.failed = "", time.Time{}
		c.options.Log.Info("a certificate has been obtained", "hostname", name, "renewal", data["renewal"], "issuer", data["issuer"])
	}
	return nil
}

// challenge answers the request of an HTTP-01 challenge for a hostname of the table.
func (c *certificates) challenge(w http.ResponseWriter, r *http.Request) bool {
	return c.acme != nil && certmagic.LooksLikeHTTPChallenge(r) &&
		c.view.Load().claims(table.Hostname(r.Host)) && c.acme.HandleHTTPChallenge(w, r)
}

// config returns the configuration of handshakes. It answers only those for a hostname of
// the table, even if a client resumes a session.
func (c *certificates) config(protocols ...string) *tls.Config {
	// Without certificates, the alert is unrecognized_name. Without tickets, a client
	// cannot resume the session of a hostname that was withdrawn.
	refused := &tls.Config{MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: append(protocols, acmez.ACMETLS1Protocol),
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if !c.view.Load().claims(hostname(hello.ServerName)) {
				return refused, nil
			}
			return nil, nil
		},
		GetCertificate: c.get,
	}
}

// get returns the certificate for a handshake.
func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := hostname(hello.ServerName)
	if slices.Equal(hello.SupportedProtos, []string{acmez.ACMETLS1Protocol}) {
		if c.public == nil {
			return nil, fmt.Errorf("%s has no challenge", name)
		}
		return c.public.GetCertificate(hello)
	}
	if fit(c.view.Load().secure, name) == fitsNot {
		named := *hello
		named.ServerName, name = fallback, fallback
		hello = &named
	}
	if cert := c.files.get(name); cert != nil {
		return cert, nil
	}
	cert, err := c.own.GetCertificate(hello)
	if err != nil && c.await(hello.Context(), name) {
		cert, err = c.own.GetCertificate(hello)
	}
	return cert, err
}

// await waits for the first attempt to obtain the certificate of a hostname, and reports
// whether it has ended. There is none for a hostname whose certificate is not managed.
func (c *certificates) await(ctx context.Context, name string) bool {
	c.mu.Lock()
	m := cmp.Or(c.managed[name], c.managed[wildcard(name)])
	c.mu.Unlock()
	if m == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, firstTime)
	defer cancel()
	select {
	case <-m.tried:
		return true
	case <-ctx.Done():
		return false
	}
}

// states returns what is known of each hostname's certificate, sorted by hostname.
func (c *certificates) states() []fleet.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []fleet.Certificate
	for name := range c.view.Load().secure {
		state := fleet.Certificate{Hostname: name}
		if cert := c.files.get(name); cert != nil {
			describe(&state, cert.Leaf)
		} else {
			for _, cert := range c.cache.AllMatchingCertificates(name) {
				if slices.Contains(cert.Names, name) && cert.Leaf.NotAfter.After(state.Until) {
					describe(&state, cert.Leaf)
				}
			}
		}
		if m := c.managed[name]; m != nil {
			state.Problem, state.Failed = m.problem, m.failed
		} else if problem, at := c.files.problem(name); problem != "" {
			state.Problem, state.Failed = problem, at
		}
		all = append(all, state)
	}
	slices.SortFunc(all, func(a, b fleet.Certificate) int { return cmp.Compare(a.Hostname, b.Hostname) })
	return all
}

func describe(state *fleet.Certificate, leaf *x509.Certificate) {
	state.Issuer = cmp.Or(leaf.Issuer.CommonName, strings.Join(leaf.Issuer.Organization, " "), leaf.Issuer.String(), "an authority without a name")
	state.From, state.Until = leaf.NotBefore, leaf.NotAfter
}

// hostname returns the form that a table uses for the server name of a handshake.
func hostname(serverName string) string {
	return strings.TrimSuffix(strings.ToLower(serverName), ".")
}
