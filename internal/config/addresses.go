package config

import (
	"net/url"
	"strings"
)

func isWebURL(address string) bool {
	parsed, err := url.Parse(address)
	return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != ""
}

func isPostgresURL(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

// withoutPassword hides a password anywhere in an address.
func withoutPassword(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return "(hidden)"
	}
	if query := parsed.Query(); query.Has("password") {
		query.Set("password", "xxxxx")
		parsed.RawQuery = query.Encode()
	}
	return parsed.Redacted()
}

// withoutPath hides the part of a webhook's address that is often a secret.
func withoutPath(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || address == "" {
		return address
	}
	return parsed.Scheme + "://" + parsed.Host + "/…"
}
