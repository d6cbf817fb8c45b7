package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// A flag that is accepted and changes nothing promises what mcp does not do. The variable
// that a flag sets must be read somewhere.
func TestNoFlagIsAcceptedWithoutAnEffect(t *testing.T) {
	bound := map[string]bool{}
	var folders []folder
	for _, root := range []string{"..", "../../compose", "../../../edge/command"} {
		for _, dir := range foldersOf(t, root) {
			folders = append(folders, parsed(t, dir))
		}
	}
	for _, p := range folders {
		for _, b := range p.bindings() {
			bound[b.flag] = true
			read := p.reads(b) || b.isExported() && slices.ContainsFunc(folders, func(other folder) bool { return other.reads(b) })
			require.True(t, read, "%s: the flag --%s sets %s, which nothing reads", p.set.Position(b.at.Pos()), b.flag, b.text)
		}
	}
	each(commands(), func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && f.Name != "version" {
				require.True(t, bound[f.Name], "%s --%s: this test does not see what it sets", cmd.CommandPath(), f.Name)
			}
		})
	})
}

// Variables that nothing reads are found in what is written here.
func TestAVariableThatOnlyAFlagSetsIsFound(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.go"), []byte(`package x
type options struct { used, unused bool }
func shared(cmd *C, o *options) { cmd.Flags().BoolVar(&o.used, "used", false, "") }
func verb(cmd *C) {
	var o options
	var wait, yes bool
	shared(cmd, &o)
	cmd.Flags().BoolVar(&o.unused, "unused", false, "")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "")
	waitFlag(cmd, &wait)
	run(o.used, yes)
}
func waitFlag(cmd *C, wait *bool) { cmd.Flags().BoolVar(wait, "wait", false, "") }
func other(wait bool) bool { return wait }
`), 0o600))
	p := parsed(t, dir)
	unread := []string{}
	for _, b := range p.bindings() {
		if !p.reads(b) {
			unread = append(unread, b.flag)
		}
	}
	require.ElementsMatch(t, []string{"unused", "wait"}, unread)
}

// folder is the source of a package.
type folder struct {
	set   *token.FileSet
	funcs []*ast.FuncDecl
}

// binding is where a flag gets the variable that it sets.
type binding struct {
	flag, text string
	at         ast.Expr
	in         *ast.FuncDecl
}

// isExported reports whether other packages can read the variable.
func (b binding) isExported() bool {
	field, isField := b.at.(*ast.SelectorExpr)
	return isField && field.Sel.IsExported()
}

// foldersOf returns a directory and those below it.
func foldersOf(t *testing.T, root string) (dirs []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	}))
	return dirs
}

func parsed(t *testing.T, dir string) folder {
	t.Helper()
	p := folder{set: token.NewFileSet()}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(p.set, name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if f, is := d.(*ast.FuncDecl); is && f.Body != nil {
				p.funcs = append(p.funcs, f)
			}
		}
	}
	return p
}

// binds are the methods of a set of flags that bind a variable, and sets the name of a
// function that does so for its parameter.
var (
	binds = regexp.MustCompile(`^\w+VarP?$`)
	sets  = regexp.MustCompile(`^\w+Flags?$`)
)

// bindings returns the flags of a package. One that a function binds to its parameter, for
// several verbs, is the variable of each verb.
func (p folder) bindings() (list []binding) {
	shared := map[string]string{} // the flag that a function binds to its parameter
	for _, f := range p.funcs {
		calls(f, func(call *ast.CallExpr, name string) {
			if !binds.MatchString(name) || len(call.Args) < 3 {
				return
			}
			flag, isText := call.Args[1].(*ast.BasicLit)
			if !isText || flag.Kind != token.STRING {
				return
			}
			b := binding{flag: strings.Trim(flag.Value, `"`), at: call.Args[0], in: f}
			if variable, given := address(call.Args[0]); given {
				b.at, b.text = variable, textOf(variable)
				list = append(list, b)
			} else if _, isName := call.Args[0].(*ast.Ident); isName {
				shared[f.Name.Name] = b.flag
			}
		})
	}
	for _, f := range p.funcs {
		calls(f, func(call *ast.CallExpr, name string) {
			flag, is := shared[name]
			for _, arg := range call.Args {
				if variable, given := address(arg); is && given {
					list = append(list, binding{flag, textOf(variable), variable, f})
				}
			}
		})
	}
	return list
}

// reads reports whether anything reads what a flag sets: a field anywhere in the package, a
// variable in the function that has it.
func (p folder) reads(b binding) bool {
	field, isField := b.at.(*ast.SelectorExpr)
	for _, f := range p.funcs {
		if !isField && f != b.in {
			continue
		}
		set := map[ast.Node]bool{} // what is set and not read
		calls(f, func(call *ast.CallExpr, name string) {
			for _, arg := range call.Args {
				if variable, given := address(arg); given && (binds.MatchString(name) || sets.MatchString(name)) {
					set[variable] = true
				}
			}
		})
		found := false
		ast.Inspect(f.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, left := range n.Lhs {
					set[left] = true
				}
			case *ast.ValueSpec:
				for _, name := range n.Names {
					set[name] = true
				}
			case *ast.SelectorExpr:
				found = found || isField && n.Sel.Name == field.Sel.Name && !set[n]
			case *ast.Ident:
				found = found || !isField && n.Name == b.text && !set[n]
			}
			return true
		})
		if found {
			return true
		}
	}
	return false
}

// calls calls do for each call in a function, with the name of what is called.
func calls(f *ast.FuncDecl, do func(call *ast.CallExpr, name string)) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if call, is := n.(*ast.CallExpr); is {
			switch called := call.Fun.(type) {
			case *ast.Ident:
				do(call, called.Name)
			case *ast.SelectorExpr:
				do(call, called.Sel.Name)
			}
		}
		return true
	})
}

// address returns x of &x, where that is a variable or a field.
func address(e ast.Expr) (ast.Expr, bool) {
	unary, is := e.(*ast.UnaryExpr)
	if !is || unary.Op != token.AND {
		return nil, false
	}
	switch unary.X.(type) {
	case *ast.Ident, *ast.SelectorExpr:
		return unary.X, true
	}
	return nil, false
}

func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return textOf(e.X) + "." + e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}
