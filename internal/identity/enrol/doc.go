// Package enrol gets certificates from a gateway: with a token on a machine that has
// none yet, and with the certificate itself before that ends. Operators create, list and
// revoke identities in the same way.
//
// The protocol has one connection for each request. After the handshake of TLS the
// gateway sends a Greeting, the client a Request, and the gateway an Answer: each is JSON
// after its length, in four bytes, most significant first.
package enrol
