package fault_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/metacircular/mcp/internal/fault"
)

func TestWithHintLeavesTheErrorUnchanged(t *testing.T) {
	shared := fault.New(fault.Unavailable, "the worker is stopping")
	hinted := shared.WithHint("start it: mcp worker --node %s", "rift")
	require.Equal(t, "start it: mcp worker --node rift", hinted.Hint)
	require.Equal(t, shared.Message, hinted.Message)
	require.Empty(t, shared.Hint)

	again := hinted.WithHint("wait")
	require.Equal(t, "wait", again.Hint)
	require.Equal(t, "start it: mcp worker --node rift", hinted.Hint)
}

func TestWithHintKeepsTheCause(t *testing.T) {
	cause := errors.New("connection refused")
	err := fault.Wrap(fault.Unavailable, cause, "connect to Temporal").WithHint("start it")
	require.ErrorIs(t, err, cause)
	require.EqualError(t, err, "connect to Temporal: connection refused")
}

func TestOfReturnsACopy(t *testing.T) {
	shared := fault.New(fault.Conflict, "a deploy is under way")
	found := fault.Of(shared)
	require.Equal(t, shared, found)
	found.Node = "rift"
	require.Empty(t, shared.Node)

	wrapped := fault.Of(fmt.Errorf("revive shop: %w", shared))
	require.Equal(t, fault.Conflict, wrapped.Kind)
	require.Equal(t, "revive shop: a deploy is under way", wrapped.Message)
	require.ErrorIs(t, wrapped, shared)
	require.Equal(t, "a deploy is under way", shared.Message)

	require.Equal(t, fault.Internal, fault.Of(errors.New("no kind")).Kind)
	require.Nil(t, fault.Of(nil))
}

func TestAFullDiskIsNotInternal(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "/var/lib/mcp/fence.json", Err: syscall.ENOSPC}
	require.Equal(t, fault.DiskFull, fault.Of(fmt.Errorf("record the fence: %w", full)).Kind)
	require.Equal(t, fault.DiskFull, fault.Wrap(fault.Internal, full, "open the build log").Kind)
	require.Equal(t, fault.Invalid, fault.Wrap(fault.Invalid, full, "build").Kind)
	require.Equal(t, fault.Internal, fault.Wrap(fault.Internal, errors.New("no space left on device"), "read").Kind)
	require.False(t, fault.DiskFull.Retryable())
}

// The list of kinds holds each constant of type Kind once.
func TestKindsHoldsEveryConstant(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "kind.go", nil, 0)
	require.NoError(t, err)
	var constants []fault.Kind
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Kind" {
			word, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			require.Equal(t, spec.Names[0].Name, word)
			constants = append(constants, fault.Kind(word))
		}
		return false
	})
	require.NotEmpty(t, constants)
	require.Equal(t, constants, fault.Kinds())
	for _, kind := range fault.Kinds() {
		require.True(t, kind.Exists())
	}
	require.False(t, fault.Kind("PanicError").Exists())
}

func TestKindsReturnsACopy(t *testing.T) {
	fault.Kinds()[0] = "Changed"
	require.Equal(t, fault.NotFound, fault.Kinds()[0])
}
