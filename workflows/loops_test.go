package workflows_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bounded are the functions whose loops end by themselves, and why.
var bounded = map[string]string{
	"Wait":           "it ends with the steps of its group, each of which was added before",
	"runOnFreePorts": "it ends after portTries",
	"survey":         "it ends after renumberings",
	"reachFrom":      "it ends after silentTimeout, or takes another boot of a node",
	"cutOver":        "each turn takes another boot of a node",
	"runTask":        "each turn takes another boot of a node",
	"deploy":         "of a rotation: it ends after its deadline, and its pauses become longer",
}

// sources parses the workflow code, with that of the packages below.
func sources(t *testing.T) (*token.FileSet, []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	below, err := filepath.Glob("*/*.go")
	require.NoError(t, err)
	set := token.NewFileSet()
	var files []*ast.File
	for _, path := range append(paths, below...) {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		require.NoError(t, err)
		files = append(files, file)
	}
	return set, files
}

// calls reports whether a node calls the function of that name of a package.
func calls(in ast.Node, pkg, name string) (found bool) {
	ast.Inspect(in, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			f, _ := call.Fun.(*ast.SelectorExpr)
			found = found || f != nil && f.Sel.Name == name && isNamed(f.X, pkg)
		}
		return !found
	})
	return found
}

// isNamed reports whether an expression is that identifier.
func isNamed(x ast.Expr, name string) bool {
	id, ok := x.(*ast.Ident)
	return ok && id.Name == name
}

// Every loop that may turn without end goes on as a new run when its history is long.
func TestEveryLoopHasAnEnd(t *testing.T) {
	set, files := sources(t)
	loops := 0
	for _, file := range files {
		for _, declared := range file.Decls {
			function, ok := declared.(*ast.FuncDecl)
			if !ok || bounded[function.Name.Name] != "" {
				continue
			}
			ast.Inspect(function, func(n ast.Node) bool {
				if loop, ok := n.(*ast.ForStmt); ok {
					loops++
					require.True(t, calls(loop, "call", "Spent"), "%s: the loop of %s has no end", set.Position(loop.Pos()), function.Name.Name)
				}
				return true
			})
		}
	}
	require.Positive(t, loops)
}

// All local activities have the options of one function.
func TestLocalActivitiesHaveOneSetOfOptions(t *testing.T) {
	set, files := sources(t)
	var options []string
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && (s.Sel.Name == "WithLocalActivityOptions" || s.Sel.Name == "ExecuteLocalActivity") {
				options = append(options, set.Position(s.Pos()).Filename+" "+s.Sel.Name)
			}
			return true
		})
	}
	require.ElementsMatch(t, []string{"call/steps.go WithLocalActivityOptions", "call/control.go ExecuteLocalActivity"}, options)
}
