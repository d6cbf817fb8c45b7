package enrol

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
)

const (
	// dialTime bounds the connection to one gateway.
	dialTime = 5 * time.Second
	// exchangeTime bounds a request, from the handshake to the answer.
	exchangeTime = 20 * time.Second
)

// Joined is what a machine gets for a token.
type Joined struct {
	Identity identity.Identity
	// Doors are the addresses of the gateways, and Namespace that of Temporal behind them.
	Doors       []string
	Namespace   string
	certificate *x509.Certificate
	roots       identity.Roots
	key         *ecdsa.PrivateKey
}

// Save writes the identity.
func (j Joined) Save(d identity.Directory) error { return d.Create(j.roots, j.certificate, j.key) }

// Join makes a key, and gets its certificate for a token. The token is used up only if
// the clocks of both machines agree.
func Join(ctx context.Context, t identity.Token) (Joined, error) {
	key, err := identity.NewKey()
	if err != nil {
		return Joined{}, err
	}
	request, err := identity.Request(key)
	if err != nil {
		return Joined{}, err
	}
	host, _ := os.Hostname()
	var roots identity.Roots
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: identity.ServerName, NextProtos: []string{Protocol},
		InsecureSkipVerify: true, // the token has the fingerprint of the authority: see VerifyConnection
		VerifyConnection: func(state tls.ConnectionState) (err error) {
			roots, err = pinned(state, t.Authority)
			return err
		},
	}
	asked := Request{Secret: t.Secret, Certificate: request, Host: host}
	answer, err := exchange(ctx, t.Door, config, asked)
	if fault.Is(err, fault.Unavailable) && ctx.Err() == nil {
		// The answer may have been lost, with the token used up: this key may use it again.
		answer, err = exchange(ctx, t.Door, config, asked)
	}
	if err != nil {
		return Joined{}, err
	}
	c, answered, err := answer.content()
	if err != nil {
		return Joined{}, err
	}
	who, err := identity.FromCertificate(c)
	if err != nil {
		return Joined{}, err
	}
	if who.Role != t.Role || who.Name != t.Name {
		return Joined{}, fault.New(fault.Invalid, "the gateway has made %s of a token of %s", who, t.Who())
	}
	j := Joined{Identity: who, Doors: t.Door, Namespace: answer.Namespace, certificate: c, roots: answered, key: key}
	if len(answer.Doors) > 0 {
		if err := identity.CheckDoors(answer.Doors); err != nil {
			return Joined{}, err
		}
		j.Doors = answer.Doors
	}
	if len(roots) == 0 {
		return Joined{}, fault.New(fault.Internal, "the gateway was not checked")
	}
	return j, nil
}

// pinned returns the authority with a fingerprint that has signed the certificate of a
// gateway.
func pinned(state tls.ConnectionState, fingerprint string) (identity.Roots, error) {
	for _, c := range state.PeerCertificates {
		if identity.Fingerprint(c) != fingerprint {
			continue
		}
		roots := identity.Roots{c}
		err := roots.Door(state, time.Now())
		var outside *identity.OutOfTime
		if errors.As(err, &outside) {
			err = nil // the clocks are compared before the token is sent
		}
		return roots, err
	}
	return nil, fault.New(fault.Unauthorized, "the gateway at this address has another authority than the token names").
		WithHint("check the address, and who answers there; the token was not sent")
}

// Renew gets the next certificate of an identity, and writes it.
func Renew(ctx context.Context, doors []string, d identity.Directory) error {
	c, err := d.Read()
	if err != nil {
		return err
	}
	request, err := c.Request()
	if err != nil {
		return err
	}
	answer, err := exchange(ctx, doors, d.ClientTLS(Protocol), Request{Certificate: request})
	if err != nil {
		return err
	}
	next, roots, err := answer.content()
	if err != nil {
		return err
	}
	who, err := identity.FromCertificate(next)
	if err != nil {
		return err
	}
	if who.Role != c.Identity.Role || who.Name != c.Identity.Name {
		return fault.New(fault.Invalid, "the gateway has made %s of %s", who, c.Identity)
	}
	return d.Renew(roots, next)
}

// content reads an answer.
func (a Answer) content() (*x509.Certificate, identity.Roots, error) {
	c, err := x509.ParseCertificate(a.Certificate)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Invalid, err, "reading the certificate from the gateway")
	}
	roots, err := identity.ParseRoots([]byte(a.Authorities))
	return c, roots, err
}

// Clock returns the time of the first gateway that answers, whatever the time of this
// machine. Half of the round trip is taken off.
func Clock(ctx context.Context, doors []string, d identity.Directory) (ours, theirs time.Time, err error) {
	_, ours, theirs, err = greet(ctx, doors, d)
	return ours, theirs, err
}

// greet returns the greeting of the first gateway that answers, and the times.
func greet(ctx context.Context, doors []string, d identity.Directory) (greeting Greeting, ours, theirs time.Time, err error) {
	c, err := d.Read()
	if err != nil {
		return greeting, ours, theirs, err
	}
	config := d.ClientTLS(Protocol)
	config.GetClientCertificate = nil
	config.VerifyConnection = func(state tls.ConnectionState) error {
		err := c.Roots.Door(state, time.Now())
		var outside *identity.OutOfTime
		if errors.As(err, &outside) {
			return nil
		}
		return err
	}
	err = eachDoor(ctx, doors, config, func(conn *tls.Conn) error {
		began := time.Now()
		err := Read(conn, &greeting, MaxRequest)
		ours = time.Now()
		theirs = greeting.Time.Add(ours.Sub(began) / 2)
		return broken(err)
	})
	return greeting, ours, theirs, err
}

// exchange sends a request to the first gateway that can be reached.
func exchange(ctx context.Context, doors []string, config *tls.Config, request Request) (answer Answer, err error) {
	err = eachDoor(ctx, doors, config, func(conn *tls.Conn) error {
		var greeting Greeting
		if err := Read(conn, &greeting, MaxRequest); err != nil {
			return broken(err)
		}
		if err := identity.CheckClock(time.Now(), greeting.Time); err != nil {
			return err
		}
		if err := Write(conn, request); err != nil {
			return broken(err)
		}
		if err := Read(conn, &answer, MaxAnswer); err != nil {
			return broken(err)
		}
		if answer.Error != nil {
			return bounded(answer.Error)
		}
		return nil
	})
	return answer, err
}

// eachDoor talks with one gateway after the other, until one succeeds, or fails other than by
// not answering.
func eachDoor(ctx context.Context, doors []string, config *tls.Config, talk func(*tls.Conn) error) error {
	var away []error
	for _, address := range doors {
		err := withDoor(ctx, address, config, talk)
		if !fault.Is(err, fault.Unavailable) || ctx.Err() != nil {
			return err
		}
		away = append(away, err)
	}
	return errors.Join(away...)
}

func withDoor(ctx context.Context, address string, config *tls.Config, talk func(*tls.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, exchangeTime)
	defer cancel()
	dialer := net.Dialer{Timeout: dialTime}
	plain, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "connecting to the gateway at %s", address)
	}
	defer plain.Close()
	until, _ := ctx.Deadline()
	_ = plain.SetDeadline(until)
	stop := context.AfterFunc(ctx, func() { _ = plain.Close() })
	defer stop()
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return named(handshake(err), "the gateway at "+address)
	}
	return named(talk(conn), "the gateway at "+address)
}

// handshake gives an error of TLS its kind: one of ours has it already, and what breaks the
// connection may be better at the next attempt.
func handshake(err error) error {
	var f *fault.Error
	var outside *identity.OutOfTime
	switch {
	case errors.As(err, &f):
		return err
	case errors.As(err, &outside):
		return fault.Wrap(fault.Invalid, err, "comparing the clocks").WithHint("set the clock of the machine that is wrong: timedatectl set-ntp true")
	}
	return broken(err)
}

// broken returns the error of a connection that has ended early.
func broken(err error) error {
	var f *fault.Error
	if err == nil || errors.As(err, &f) {
		return err
	}
	var alert tls.AlertError
	if errors.As(err, &alert) {
		return fault.Wrap(fault.Unauthorized, err, "it refuses this machine")
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("it has closed the connection")
	}
	return fault.Wrap(fault.Unavailable, err, "it does not answer")
}

func named(err error, place string) error {
	if err == nil {
		return nil
	}
	f := fault.Of(err)
	f.Message = place + ": " + f.Message
	return f
}

// bounded returns an error of the gateway's as one that is safe to show.
func bounded(e *fault.Error) error {
	kind := e.Kind
	if !kind.Exists() {
		kind = fault.Internal
	}
	return fault.New(kind, "%.500s", e.Message).WithHint("%.500s", e.Hint)
}
