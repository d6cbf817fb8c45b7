package local

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/dev"
	"github.com/metacircular/mcp/internal/fault"
)

// trusted is mcp dev trust --json.
type trusted struct {
	// Root is the file of the root certificate.
	Root        string `json:"root"`
	Fingerprint string `json:"fingerprint"`
	// Installed is where it was installed; "" if it was not asked for.
	Installed string `json:"installed,omitempty"`
	// Commands make programs trust it, by program.
	Commands []trustCommand `json:"commands"`
}

// trustCommand makes a program trust a root certificate.
type trustCommand struct {
	For     string `json:"for"`
	Command string `json:"command"`
}

func newDevTrust(s *session.Session, o *devOptions) *cobra.Command {
	var install bool
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Show how to trust the certificates of the local platform's edge",
		Long: `Trust shows the root certificate of the local platform's edge, and the commands
that make this machine's programs and browsers trust it. With --install it runs
the one for this machine's own store, as root. Whoever has the key of that root,
in the platform's directory, can then pass for every https server to this machine:
do it on a machine of your own, and remove the certificate with the platform.`,
		Example: "  mcp dev trust\n  sudo mcp dev trust --install",
		Args:    session.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := o.existing(cmd.Flags().Changed("dir"))
			if err != nil {
				return err
			}
			return runDevTrust(cmd.Context(), s, dir, install)
		},
	}
	cmd.Flags().BoolVar(&install, "install", false, "install it in this machine's store; needs root")
	return cmd
}

func runDevTrust(ctx context.Context, s *session.Session, dir string, install bool) error {
	if err := dev.CheckDir(dir); err != nil {
		return err
	}
	root, err := filepath.Abs(dev.Root(dir))
	if err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	text, err := os.ReadFile(root)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.NotFound, "the platform in %s has no edge yet: there is no %s", dir, root).
			WithHint("start the platform with mcp-edge beside mcp or in $PATH: mcp dev")
	}
	if err != nil {
		return fmt.Errorf("read the root certificate: %w", err)
	}
	sum, err := fingerprintOf(text)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "the file %s is no certificate", root)
	}
	store, known := storeOf(exec.LookPath)
	result := trusted{Root: root, Fingerprint: sum, Commands: trustCommands(root, store, known)}
	if install {
		if !known {
			return fault.New(fault.NotFound, "this machine has neither update-ca-certificates nor update-ca-trust").
				WithHint("install %s as the machine's documentation says", root)
		}
		if result.Installed, err = store.install(ctx, text); err != nil {
			return err
		}
	}
	showTrusted(s, result)
	return nil
}

// store is where a machine keeps the roots that its programs trust.
type store struct{ dir, update string }

// rootName is the root's name in a store.
const rootName = "mcp-dev.crt"

// storeOf returns the store of this machine, by the program that updates it.
func storeOf(find func(string) (string, error)) (store, bool) {
	for _, s := range []store{
		{"/usr/local/share/ca-certificates", "update-ca-certificates"}, // Debian, Alpine
		{"/etc/pki/ca-trust/source/anchors", "update-ca-trust"},        // Fedora
	} {
		if path, err := find(s.update); err == nil {
			s.update = path
			return s, true
		}
	}
	return store{}, false
}

// updateTime bounds the update of a store.
const updateTime = time.Minute

// install adds a root certificate to the store, and returns its path there.
func (s store) install(ctx context.Context, text []byte) (string, error) {
	path := filepath.Join(s.dir, rootName)
	if err := renameio.WriteFile(path, text, 0o644); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return "", fault.Wrap(fault.Unauthorized, err, "installing the root certificate").WithHint("run it as root: sudo mcp dev trust --install")
		}
		return "", fmt.Errorf("install the root certificate: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.update).CombinedOutput()
	if ctx.Err() != nil {
		return "", exit.Interrupted
	}
	if err != nil {
		f := fault.Wrap(fault.Internal, err, "updating this machine's store with %s", s.update)
		f.Log = strings.Split(strings.TrimSpace(string(out)), "\n")
		return "", f
	}
	return path, nil
}

// trustCommands returns the commands that make programs trust a root.
func trustCommands(root string, s store, known bool) []trustCommand {
	file := shellWord(root)
	list := []trustCommand{{"one request", "curl --cacert " + file}}
	if known {
		list = append(list, trustCommand{"this machine's programs", fmt.Sprintf("sudo cp %s %s && sudo %s", file, filepath.Join(s.dir, rootName), s.update)})
	}
	return append(list,
		trustCommand{"Chromium", `certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n mcp-dev -i ` + file},
		trustCommand{"Firefox", "in its settings: Certificates, Authorities, Import: " + root})
}

// shellWord quotes a path for a shell where that is needed.
func shellWord(path string) string {
	plain := func(r rune) bool {
		return r == '/' || r == '.' || r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
	}
	if strings.IndexFunc(path, func(r rune) bool { return !plain(r) }) < 0 {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

func fingerprintOf(text []byte) (string, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return "", errors.New("no PEM block")
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(block.Bytes)), nil
}

func showTrusted(s *session.Session, t trusted) {
	if s.JSON {
		s.PrintJSON(t)
		return
	}
	_, _ = fmt.Fprintf(s.Stdout, "root certificate  %s\nSHA-256           %s\n", t.Root, t.Fingerprint)
	if t.Installed != "" {
		_, _ = fmt.Fprintf(s.Stdout, "installed         %s\n", t.Installed)
	}
	for _, c := range t.Commands {
		_, _ = fmt.Fprintf(s.Stdout, "for %s:\n  %s\n", c.For, c.Command)
	}
}
