package machines_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sync/errgroup"

	"github.com/metacircular/mcp/internal/dev/parts"
)

// startTime bounds the start of a part.
const startTime = 2 * time.Minute

// bePlane is Postgres and Temporal, on their usual ports of the loopback. It prints the
// password of Postgres.
func bePlane(args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	var postgres *parts.Postgres
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		postgres, err = parts.StartPostgres(ctx, parts.PostgresOptions{Dir: "/var/lib/plane-postgres", Port: 5432, Unsafe: true})
		return err
	})
	both.Go(func() error {
		_, err := parts.StartTemporal(ctx, parts.TemporalOptions{Dir: "/var/lib/plane-temporal", Binary: args[0], Port: 7233, UIPort: 8233})
		return err
	})
	if err := both.Wait(); err != nil {
		return err
	}
	_, rest, _ := strings.Cut(postgres.URL(), "mcp:")
	password, _, _ := strings.Cut(rest, "@")
	fmt.Println(password)
	select {}
}

// bePodman is podman's socket.
func bePodman() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	engine, err := parts.StartPodman(ctx, parts.PodmanOptions{Dir: "/var/lib/containers", Private: true})
	if err != nil {
		return err
	}
	if err := os.Symlink(strings.TrimPrefix(engine.Socket(), "unix://"), "/run/podman/podman.sock"); err != nil {
		return err
	}
	<-engine.Done()
	return errors.New("podman has ended")
}

// beImages is an image registry with two versions of a service: the program is the
// argument, and the certificate is beside it.
func beImages(args []string) error {
	l, err := net.Listen("tcp", addresses[elsewhere]+":5000")
	if err != nil {
		return err
	}
	serving := make(chan error, 1)
	go func() {
		server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), ErrorLog: log.New(io.Discard, "", 0)}
		dir := filepath.Dir(args[0])
		serving <- server.ServeTLS(l, filepath.Join(dir, "registry.pem"), filepath.Join(dir, "registry.key"))
	}()
	base, err := imageOf(args[0])
	if err != nil {
		return err
	}
	for _, version := range []string{"v1", "v2"} {
		image, err := mutate.Config(base, v1.Config{Cmd: []string{"/app"}, Env: []string{"VERSION=" + version}})
		if err != nil {
			return err
		}
		tag, err := name.NewTag(imageRegistry + "/shop:" + version)
		if err != nil {
			return err
		}
		if err := remote.Write(tag, image); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	return <-serving
}

// imageOf is an image of one program, /app.
func imageOf(program string) (v1.Image, error) {
	text, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	files := tar.NewWriter(&layer)
	err = files.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(text))})
	if err == nil {
		_, err = files.Write(text)
	}
	if err := errors.Join(err, files.Close()); err != nil {
		return nil, err
	}
	made, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(empty.Image, made)
}

// certify makes the certificate of the image registry in a directory, which every machine
// trusts.
func certify(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(imageRegistry)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "registry.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}), 0o644),
		os.WriteFile(filepath.Join(dir, "registry.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
	)
}
