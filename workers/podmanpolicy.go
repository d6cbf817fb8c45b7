package workers

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime/podman"
	"github.com/metacircular/mcp/internal/signing"
)

// PodmanFile is a file of podman's that makes it check signatures.
type PodmanFile struct {
	Path string
	// Text is what it should be.
	Text string
	// Current is set if it is already.
	Current bool
	// Note is what podman's version cannot do; "" for nothing.
	Note string
}

// PodmanFiles returns the files that make the podman of this host check signatures by
// itself, whatever pulls the image. Signed is as in Node. Dir is the folder that podman
// reads; "" is the one of the user that owns the socket.
func PodmanFiles(ctx context.Context, socket string, signed map[string][]string, dir string) ([]PodmanFile, error) {
	engine := podman.New(socket)
	defer engine.Close()
	version, err := engine.Version(ctx)
	if err != nil {
		return nil, err
	}
	registries := ""
	if dir == "" {
		if noSigstore() {
			return nil, ErrNoSigstore
		}
		if dir, registries, err = podmanFolders(socket); err != nil {
			return nil, err
		}
	}
	if registries == "" {
		registries = filepath.Join(dir, "registries.d")
	}
	missing := false
	policy := PodmanFile{Path: filepath.Join(dir, "policy.json")}
	current, err := readFile(policy.Path)
	if err == nil && current == nil {
		// A user's policy hides the one in /etc, so it begins with what that says.
		current, err = readFile(filepath.Join(systemFolder, "policy.json"))
		missing = true
	}
	if err != nil {
		return nil, err
	}
	text, differs, firstAlone, err := signing.Policy(current, signed, strings.TrimPrefix(version, "podman "))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "read podman's policy %s", policy.Path).WithHint("repair or remove that file")
	}
	policy.Text, policy.Current = string(text), !differs && !missing
	if len(firstAlone) > 0 {
		policy.Note = version + " takes one key for each image registry: the first of " + strings.Join(firstAlone, ", ")
	}
	attachments := PodmanFile{Path: filepath.Join(registries, "mcp.yaml"), Text: string(signing.Attachments(signed))}
	if current, err = readFile(attachments.Path); err != nil {
		return nil, err
	}
	attachments.Current = bytes.Equal(current, []byte(attachments.Text))
	return []PodmanFile{policy, attachments}, nil
}

// ErrNoSigstore means that this host's podman cannot check signatures.
var ErrNoSigstore = fault.New(fault.Invalid, "this host's podman is built without the signatures of sigstore, as Debian's podman 4 is: under a policy that requires them it would refuse every image").
	WithHint("leave podman's policy as it is: the node's worker checks signatures itself")

// noSigstore reports whether the podman in PATH has the message of one without the code
// for signatures. No call of its API says so.
func noSigstore() bool {
	path, err := exec.LookPath("podman")
	if err != nil {
		return false
	}
	program, err := os.ReadFile(path)
	return err == nil && bytes.Contains(program, []byte(podman.NoSigstore))
}

// readFile returns nothing for a file that does not exist.
func readFile(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "read podman's configuration")
	}
	return text, nil
}

// systemFolder has podman's files for all users of a host.
const systemFolder = "/etc/containers"

// podmanFolders returns the folders of the policy and of registries.d that the podman
// behind a socket reads. Root's reads its policy only in /etc, another user's in the
// user's home. A registries.d in the home hides the one in /etc.
func podmanFolders(socket string) (policy, registries string, err error) {
	path := strings.TrimPrefix(socket, "unix://")
	info, err := os.Stat(path)
	if err != nil {
		return "", "", fault.Wrap(fault.Unavailable, err, "find podman's socket")
	}
	owner, err := user.LookupId(strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Uid)))
	if err != nil {
		return "", "", fault.Wrap(fault.Invalid, err, "find the user of podman's socket %s", path)
	}
	policy = filepath.Join(owner.HomeDir, ".config", "containers")
	registries = filepath.Join(policy, "registries.d")
	system := filepath.Join(systemFolder, "registries.d")
	if !exists(registries) && (owner.Uid == "0" || exists(system)) {
		registries = system
	}
	if owner.Uid == "0" {
		policy = systemFolder
	}
	return policy, registries, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
