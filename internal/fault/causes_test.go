package fault_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// errorlint knows fmt.Errorf alone.
func TestNoErrorLosesItsCause(t *testing.T) {
	files := token.NewFileSet()
	calls := 0
	require.NoError(t, filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && makesError(call) {
				calls++
				if losesCause(call) {
					t.Errorf("%s: an error becomes text: wrap it with %%w, or with fault.Wrap", files.Position(call.Pos()))
				}
			}
			return true
		})
		return nil
	}))
	require.Greater(t, calls, 500)
}

func TestALostCauseIsSeen(t *testing.T) {
	for text, lost := range map[string]bool{
		`fault.New(kind, "open %s: %v", name, err)`:   true,
		`fault.New(kind, "%s", err.Error())`:          true,
		`fault.New(kind, "no file of %s", name)`:      false,
		`fault.Wrap(kind, err, "open %s", name)`:      false,
		`n.Errorf("%s: %v", name, err)`:               true,
		`n.Errorf("%s: %w", name, err)`:               false,
		`fmt.Errorf("%w: %v", errPlace, err)`:         false,
		`n.Errorf("%s has %d of %s", name, 3, limit)`: false,
	} {
		call, err := parser.ParseExpr(text)
		require.NoError(t, err)
		require.Equal(t, lost, makesError(call.(*ast.CallExpr)) && losesCause(call.(*ast.CallExpr)), text)
	}
}

// makesError reports whether a call makes an error from a format.
func makesError(call *ast.CallExpr) bool {
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of, _ := function.X.(*ast.Ident)
	return function.Sel.Name == "Errorf" || function.Sel.Name == "New" && of != nil && of.Name == "fault"
}

// losesCause reports whether a call has an error among its arguments, and wraps none.
func losesCause(call *ast.CallExpr) bool {
	given := false
	for _, argument := range call.Args {
		switch a := argument.(type) {
		case *ast.BasicLit:
			if format, _ := strconv.Unquote(a.Value); a.Kind == token.STRING && strings.Contains(format, "%w") {
				return false
			}
		case *ast.Ident:
			given = given || a.Name == "err"
		case *ast.CallExpr:
			method, ok := a.Fun.(*ast.SelectorExpr)
			given = given || ok && method.Sel.Name == "Error" && len(a.Args) == 0
		}
	}
	return given
}
