package server

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/metacircular/mcp/internal/fault"
)

// authorityKey is where a storage keeps the root: the certificate and its key in one
// value, so that there is never one without the other.
const authorityKey = "authority/root.pem"

// Lifetimes of what the server's own authority signs. A root is replaced when it has
// less than rootRest left.
const (
	rootTime = 10 * 365 * 24 * time.Hour
	rootRest = 90 * 24 * time.Hour
	leafTime = 7 * 24 * time.Hour
	skew     = time.Hour // by which the clock of a client may be slow
)

// authority signs certificates of private names. Edges that share a storage share it.
type authority struct {
	storage certmagic.Storage
	cache   certmagic.Storage // holds the root while the storage is away; nil for none
	export  string            // the file of the root certificate

	mu   sync.Mutex
	root *x509.Certificate
	key  crypto.Signer
	pem  []byte // of the certificate
}

// load returns the root. It makes one if the storage has none.
func (a *authority) load(ctx context.Context) (*x509.Certificate, crypto.Signer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.root != nil && time.Until(a.root.NotAfter) > rootRest {
		return a.root, a.key, nil
	}
	value, err := a.storage.Load(ctx, authorityKey)
	if err == nil {
		err = a.parse(value)
	}
	if errors.Is(err, fs.ErrNotExist) || err == nil && time.Until(a.root.NotAfter) <= rootRest {
		value, err = a.create(ctx)
	}
	kept, has := a.kept(ctx)
	switch {
	case err != nil && fault.Is(err, fault.Unavailable) && has:
		err = a.parse(kept)
	case err == nil && a.cache != nil && !bytes.Equal(value, kept):
		err = a.cache.Store(ctx, authorityKey, value)
	}
	if err != nil {
		return nil, nil, fault.Wrap(fault.Of(err).Kind, err, "loading the edge's own authority")
	}
	if err := writeFile(a.export, a.pem); err != nil {
		return nil, nil, fault.Wrap(fault.Internal, err, "writing the root certificate")
	}
	return a.root, a.key, nil
}

// kept returns the root in the cache, and whether it has one that is not about to
// expire.
func (a *authority) kept(ctx context.Context) (value []byte, has bool) {
	if a.cache == nil {
		return nil, false
	}
	value, err := a.cache.Load(ctx, authorityKey)
	if err != nil {
		return nil, false
	}
	var read authority
	return value, read.parse(value) == nil && time.Until(read.root.NotAfter) > rootRest
}

// create makes a root, unless another edge has made one by now. A storage that has lost
// the root gets the one in the cache again, which clients trust. It returns what is
// stored.
func (a *authority) create(ctx context.Context) ([]byte, error) {
	if err := a.storage.Lock(ctx, authorityKey); err != nil {
		return nil, err
	}
	defer func() { _ = a.storage.Unlock(context.WithoutCancel(ctx), authorityKey) }()
	if value, err := a.storage.Load(ctx, authorityKey); err == nil {
		if err := a.parse(value); err != nil || time.Until(a.root.NotAfter) > rootRest {
			return value, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	} else if kept, has := a.kept(ctx); has {
		return a.store(ctx, kept)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{Organization: []string{"mcp"}, CommonName: "mcp edge authority " + now.Format("2006-01-02")},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(rootTime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	value := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	value = append(value, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	return a.store(ctx, value)
}

// store stores a root, and uses it.
func (a *authority) store(ctx context.Context, value []byte) ([]byte, error) {
	if err := a.storage.Store(ctx, authorityKey, value); err != nil {
		return nil, err
	}
	return value, a.parse(value)
}

// parse reads what create stores.
func (a *authority) parse(value []byte) error {
	public, rest := pem.Decode(value)
	private, _ := pem.Decode(rest)
	if public == nil || private == nil {
		return fault.New(fault.Invalid, "%s in the storage of certificates is damaged", authorityKey)
	}
	root, err := x509.ParseCertificate(public.Bytes)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%s in the storage of certificates", authorityKey)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(private.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || !key.PublicKey.Equal(root.PublicKey) {
		return fault.New(fault.Invalid, "%s in the storage of certificates has no key that fits", authorityKey)
	}
	a.root, a.key, a.pem = root, key, pem.EncodeToMemory(public)
	return nil
}

// Issue signs a certificate for the names of a request.
func (a *authority) Issue(ctx context.Context, request *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	root, key, err := a.load(ctx)
	if err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "a request for a certificate")
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{Organization: []string{"mcp"}},
		NotBefore:    now.Add(-skew),
		NotAfter:     now.Add(leafTime),
		DNSNames:     request.DNSNames,
		IPAddresses:  request.IPAddresses,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root, request.PublicKey, key)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "signing a certificate")
	}
	return &certmagic.IssuedCertificate{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// IssuerKey names the authority in the storage.
func (a *authority) IssuerKey() string { return "mcp" }

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err) // the kernel has no random numbers
	}
	return n.Add(n, big.NewInt(1))
}

// writeFile writes a file that others may read, whole or not at all.
func writeFile(path string, text []byte) error {
	if former, err := os.ReadFile(path); err == nil && bytes.Equal(former, text) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".root-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	defer temp.Close()
	if _, err := temp.Write(text); err != nil {
		return err
	}
	if err := errors.Join(temp.Chmod(0o644), temp.Sync()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
