package apps_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const brokerName = "broker.localhost"

// broker is Mosquitto with TLS from secrets.
type broker struct {
	*app
	port   int // of the edge
	serial int64
	roots  *x509.CertPool
	ca     *x509.Certificate
	key    *ecdsa.PrivateKey
}

func newBroker(t *testing.T) application {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := free.Addr().(*net.TCPAddr).Port
	require.NoError(t, free.Close())
	b := &broker{
		app:  newApp(t, "broker", "port           = 8883", "port           = "+strconv.Itoa(port)),
		port: port, serial: 1, roots: x509.NewCertPool(),
	}
	b.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	b.ca = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	signed, err := x509.CreateCertificate(rand.Reader, b.ca, b.ca, b.key.Public(), b.key)
	require.NoError(t, err)
	b.ca, err = x509.ParseCertificate(signed)
	require.NoError(t, err)
	b.roots.AddCert(b.ca)
	b.certificate("broker-cert", "broker-key", 1)

	salt := []byte("salt of twelve")[:12]
	hash, err := pbkdf2.Key(sha512.New, password, salt, 101, 64)
	require.NoError(t, err)
	b.secret("broker-users", fmt.Sprintf("ann:$7$101$%s$%s\n", base64.StdEncoding.EncodeToString(salt), base64.StdEncoding.EncodeToString(hash)))
	return b
}

// certificate makes two secrets, of a certificate with a serial number and of its key.
func (b *broker) certificate(certificate, key string, serial int64) {
	b.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b, err)
	signed, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{brokerName}, NotAfter: time.Now().Add(time.Hour),
	}, b.ca, own.Public(), b.key)
	require.NoError(b, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(own)
	require.NoError(b, err)
	b.secret(certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})))
	b.secret(key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})))
}

func (b *broker) first(t *testing.T) {
	b.app = b.again(t)
	b.deploy("mqtt")
	c := b.connect(1)
	require.NoError(t, c.publish("fleet/state", "deployed"))
	require.NoError(t, c.close())
	b.keeps("deployed", 1)
	_, err := b.dial("ann", "another password")
	require.ErrorContains(t, err, "refused with code 5")
}

func (b *broker) update(t *testing.T) {
	b.app = b.again(t)
	former := b.serial
	b.serial++
	b.certificate(b.secretName("cert"), b.secretName("key"), b.serial)
	b.use(former, b.serial)
	b.deploy("mqtt")
	b.keeps("deployed", b.serial)

	// A key that is not the certificate's.
	b.certificate("broker-cert-wrong", "broker-key-wrong", 1000)
	b.redefine(fmt.Sprintf("%q", b.secretName("key")), `"broker-key-wrong"`)
	failed := b.mcp("deploy", "broker")
	require.Equal(t, 1, failed.code, failed)
	require.Contains(t, failed.stderr, "Unable to load server key file", "the log of Mosquitto")
	b.redefine(`"broker-key-wrong"`, fmt.Sprintf("%q", b.secretName("key")))
	b.keeps("deployed", b.serial)

	b.must("rollback", "broker", "--wait")
	b.keeps("deployed", former)
	b.deploy("mqtt")
}

func (b *broker) rebooted(t *testing.T) {
	b.app = b.again(t)
	b.eventually("the broker serves again", func() error {
		c, err := b.dial("ann", password)
		if err == nil {
			err = c.close()
		}
		return err
	})
	b.keeps("deployed", b.serial)
	b.undeploy()
	_, err := b.dial("ann", password)
	require.Error(t, err)
}

// secretName is the name of a secret of the present certificate.
func (b *broker) secretName(of string) string {
	if b.serial == 1 {
		return "broker-" + of
	}
	return fmt.Sprintf("broker-%s-%d", of, b.serial)
}

// use names the secrets of another certificate in the definition.
func (b *broker) use(former, serial int64) {
	b.Helper()
	for _, of := range []string{"cert", "key"} {
		b.serial = former
		old := fmt.Sprintf("%q", b.secretName(of))
		b.serial = serial
		b.redefine(old, fmt.Sprintf("%q", b.secretName(of)))
	}
}

// connect connects through the edge, to a broker with that certificate.
func (b *broker) connect(serial int64) *mqtt {
	b.Helper()
	c, err := b.dial("ann", password)
	require.NoError(b, err)
	require.Equal(b, big.NewInt(serial), c.conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber)
	return c
}

// keeps requires that the broker has kept a message.
func (b *broker) keeps(message string, serial int64) {
	b.Helper()
	c := b.connect(serial)
	kept, err := c.receive("fleet/state")
	require.NoError(b, err)
	require.Equal(b, message, kept)
	require.NoError(b, c.close())
}

func (b *broker) dial(user, password string) (*mqtt, error) {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(b.port)), &tls.Config{ServerName: brokerName, RootCAs: b.roots})
	if err != nil {
		return nil, err
	}
	return connectMQTT(conn, user, password)
}
