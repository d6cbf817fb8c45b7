package identity

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/metacircular/mcp/internal/fault"
)

// The files of a Directory.
const (
	rootsFile       = "ca.pem"
	certificateFile = "cert.pem"
	keyFile         = "key.pem"
)

// maxFile bounds each of them, in bytes.
const maxFile = 256 << 10

// Directory holds the identity of a machine or of a person: ca.pem, cert.pem and
// key.pem, each with mode 0600. Several processes may use it, and renew it, at once.
type Directory string

// Content is what a Directory holds.
type Content struct {
	Identity    Identity
	Certificate *x509.Certificate
	Roots       Roots
	key         *ecdsa.PrivateKey
}

// Exists reports whether there is an identity in the directory.
func (d Directory) Exists() bool {
	_, err := os.Lstat(d.file(certificateFile))
	return err == nil
}

// Read reads the three files. A missing one is NotFound; one that other users can read,
// that another user owns, or that is a link is Unauthorized.
func (d Directory) Read() (Content, error) {
	var c Content
	text, err := d.read(rootsFile)
	if err != nil {
		return c, err
	}
	if c.Roots, err = ParseRoots(text); err != nil {
		return c, fault.Wrap(fault.Of(err).Kind, err, "reading %s", d.file(rootsFile))
	}
	if text, err = d.read(certificateFile); err != nil {
		return c, err
	}
	chain, err := parseChain(text)
	if err != nil || len(chain) == 0 {
		return c, fault.New(fault.Invalid, "%s holds no certificate", d.file(certificateFile)).WithHint(rejoin)
	}
	c.Certificate = chain[0]
	if c.Identity, err = FromCertificate(c.Certificate); err != nil {
		return c, fault.Wrap(fault.Invalid, err, "reading %s", d.file(certificateFile))
	}
	if text, err = d.read(keyFile); err != nil {
		return c, err
	}
	if c.key, err = parseKey(text); err != nil {
		return c, fault.Wrap(fault.Invalid, err, "reading %s", d.file(keyFile)).WithHint(rejoin)
	}
	if !c.key.PublicKey.Equal(c.Certificate.PublicKey) {
		return c, fault.New(fault.Invalid, "%s is not the key of %s", d.file(keyFile), d.file(certificateFile)).WithHint(rejoin)
	}
	return c, nil
}

const rejoin = "join again with a new token: mcp join TOKEN"

// Request returns a request for the next certificate of the same key.
func (c Content) Request() ([]byte, error) { return Request(c.key) }

// TLS returns the certificate with its key.
func (c Content) TLS() *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{c.Certificate.Raw}, PrivateKey: c.key, Leaf: c.Certificate}
}

// Due returns when the certificate should be renewed: at two thirds of its life.
func (c Content) Due() time.Time {
	life := c.Certificate.NotAfter.Sub(c.Certificate.NotBefore)
	return c.Certificate.NotBefore.Add(life / 3 * 2)
}

// Create writes an identity. An existing one is replaced: its key is lost.
func (d Directory) Create(roots Roots, certificate *x509.Certificate, key *ecdsa.PrivateKey) error {
	if _, err := FromCertificate(certificate); err != nil {
		return err
	}
	if !key.PublicKey.Equal(certificate.PublicKey) {
		return fault.New(fault.Invalid, "the certificate is not for the key of this machine")
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fault.Wrap(fault.Internal, err, "creating %s", d)
	}
	text, err := encodeKey(key)
	if err != nil {
		return err
	}
	// The certificate is written last: without it there is no identity yet. A former one is
	// removed first, so that no key stands beside a certificate of another.
	if err := os.Remove(d.file(certificateFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(fault.Internal, err, "replacing the identity in %s", d)
	}
	if err := d.write(keyFile, text); err != nil {
		return err
	}
	return d.Renew(roots, certificate)
}

// Renew replaces the certificate, and the authorities that are trusted.
func (d Directory) Renew(roots Roots, certificate *x509.Certificate) error {
	if err := d.write(rootsFile, roots.PEM()); err != nil {
		return err
	}
	return d.write(certificateFile, encodeChain([]*x509.Certificate{certificate}))
}

// ClientTLS returns the configuration of connections to a gateway, of the given protocols.
// Each handshake reads the files again, so that a renewed certificate takes effect.
func (d Directory) ClientTLS(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: ServerName, NextProtos: protocols,
		// The authorities may change while the process runs, and the time of this machine may
		// be wrong, which is worth its own error: VerifyConnection checks all of it.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			c, err := d.Read()
			if err != nil {
				return err
			}
			return c.Roots.Door(state, time.Now())
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c, err := d.Read()
			if err != nil {
				return nil, err
			}
			return c.TLS(), nil
		},
	}
}

func (d Directory) file(name string) string { return filepath.Join(string(d), name) }

func (d Directory) read(name string) ([]byte, error) {
	path := d.file(name)
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.Wrap(fault.NotFound, err, "this machine has no identity in %s", d).WithHint("join with a token: mcp join TOKEN")
	case errors.Is(err, syscall.ELOOP):
		return nil, fault.Wrap(fault.Unauthorized, err, "%s is a symbolic link", path).WithHint("replace it with the file itself")
	case err != nil:
		return nil, fault.Wrap(fault.Unauthorized, err, "reading the identity of this machine")
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "reading the identity of this machine")
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return nil, fault.New(fault.Invalid, "%s is not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fault.New(fault.Unauthorized, "%s has mode %04o: other users could read it", path, info.Mode().Perm()).
			WithHint("run: chmod 600 %s", path)
	case ok && int(stat.Uid) != os.Geteuid():
		return nil, fault.New(fault.Unauthorized, "%s belongs to user %d, this process to user %d", path, stat.Uid, os.Geteuid())
	case info.Size() > maxFile:
		return nil, fault.New(fault.Invalid, "%s has %d bytes: at most %d are permitted", path, info.Size(), maxFile)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "reading %s", path)
	}
	return text, nil
}

// write replaces a file at once: a process that reads sees the old or the new one.
func (d Directory) write(name string, text []byte) error {
	err := d.replace(name, text)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "writing %s", d.file(name))
	}
	return nil
}

func (d Directory) replace(name string, text []byte) error {
	temp, err := os.CreateTemp(string(d), "."+name+"-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	defer temp.Close()
	if _, err := temp.Write(text); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), d.file(name)); err != nil {
		return err
	}
	dir, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
