package alert

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/loopback"
)

// The headers of a webhook's request that mcp defines.
const (
	// SignatureHeader holds "sha256=" and the HMAC-SHA256 of the body, in hex,
	// with the secret as its key; absent if there is no secret.
	SignatureHeader = "X-Mcp-Signature"
	// IDHeader holds the message's ID.
	IDHeader = "X-Mcp-Event"
)

// webhookTime bounds the time until a webhook's answer.
const webhookTime = 10 * time.Second

// Webhook posts each message to a URL.
type Webhook struct {
	URL string
	// Secret is the key of each body's signature; "" for no signature.
	Secret string
	// Insecure allows a request without encryption to another machine.
	Insecure bool

	timeout time.Duration // webhookTime if 0
}

// Send posts the message. Any 2xx answer is a success. An answer that a retry
// would not change (3xx, 4xx) is Invalid or Unauthorized; every other failure is
// Unavailable. No error holds the URL's path or query, which may be secret.
func (w Webhook) Send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(w.timeout, webhookTime))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(m.Body))
	if err != nil {
		return fault.New(fault.Invalid, "send to the webhook: alerts.webhook is not a URL")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "mcp-alert")
	request.Header.Set(IDHeader, m.ID)
	if w.Secret != "" {
		request.Header.Set(SignatureHeader, Sign(w.Secret, m.Body))
	}
	host := request.URL.Host
	client := encrypted
	if w.Insecure {
		client = anyhow
	}
	response, err := client.Do(request)
	if err != nil {
		kind := fault.Unavailable
		if fault.Is(err, fault.Invalid) { // it would leave this machine
			kind = fault.Invalid
		}
		return fault.Wrap(kind, withoutURL(err), "send to the webhook at %s", host)
	}
	_ = response.Body.Close()
	switch code := response.StatusCode; {
	case code >= 200 && code <= 299:
		return nil
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fault.New(fault.Unauthorized, "send to the webhook at %s: it answers %s", host, response.Status)
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		return fault.New(fault.Unavailable, "send to the webhook at %s: it answers %s", host, response.Status)
	}
	return fault.New(fault.Invalid, "send to the webhook at %s: it answers %s", host, response.Status)
}

// encrypted sends requests without encryption to this machine alone, and anyhow to every
// one. They follow no redirect, because it would turn the POST into a GET.
var (
	encrypted = &http.Client{Transport: loopback.Transport(http.DefaultTransport.(*http.Transport)), CheckRedirect: stay}
	anyhow    = &http.Client{CheckRedirect: stay}
)

func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Sign returns the value of SignatureHeader for a body.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// withoutURL removes the URL from an error of http.Client.
func withoutURL(err error) error {
	var with *url.Error
	if errors.As(err, &with) {
		return with.Err
	}
	return err
}
