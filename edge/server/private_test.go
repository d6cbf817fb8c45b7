package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/edge/server"
)

func TestPrivate(t *testing.T) {
	for name, want := range map[string]bool{
		"localhost": true, "shop.localhost": true, "*.localhost": true, "*.shop.localhost": true,
		"shop.internal": true, "*.shop.internal": true, "a.b.home.arpa": true, "printer.local": true,
		"shop": true, "10.0.0.1": true,
		"shop.example": false, "*.shop.example": false, "a.b.shop.example": false, "internal.example": false, "localhost.example": false,
	} {
		require.Equal(t, want, server.Private(name), name)
	}
}
