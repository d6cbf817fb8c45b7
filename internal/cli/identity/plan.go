package identity

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/metacircular/mcp/deploy/systemd"
	"github.com/metacircular/mcp/internal/cli/exit"
	"github.com/metacircular/mcp/internal/cli/session"
	"github.com/metacircular/mcp/internal/config"
	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/identity"
	"github.com/metacircular/mcp/internal/identity/enrol"
)

// machineRole is what a machine of a role has: its unit, and the directory of its
// certificate, to which the unit may write.
type machineRole struct{ unit, file, dir string }

func machineRoleOf(who identity.Identity) machineRole {
	switch who.Role {
	case identity.Node:
		return machineRole{"mcp-node@" + who.Name + ".service", "mcp-node@.service", "/var/lib/mcp/identity"}
	case identity.Edge:
		return machineRole{"mcp-edge.service", "mcp-edge.service", "/var/lib/mcp-edge/identity"}
	case identity.Builder:
		return machineRole{"mcp-builder.service", "mcp-builder.service", "/var/lib/mcp/identity"}
	case identity.Control:
		return machineRole{"mcp-control.service", "mcp-control.service", "/var/lib/mcp/identity"}
	}
	return machineRole{}
}

// plan is what joining writes.
type plan struct {
	token  identity.Token
	dir    identity.Directory
	config string
	// before is the existing configuration, and door its [door].
	before []byte
	door   config.Door
	// keys is the file of encryption keys that it names, and that is not needed behind a
	// gateway; "" for none.
	keys string
	// unit is the unit to install, and units the directory; "" for none.
	unit, units string
	unitText    []byte
	publish     string
	// own is set for a machine's role of a user without root: everything is below the home
	// directory, and the unit is one of the user's own systemd.
	own bool
	// owner is the user that the unit runs as; nil for root.
	owner *user.User
}

// systemUnits is the directory of the units of a machine.
const systemUnits = "/etc/systemd/system"

// ownUnits is the directory of the units of a user.
func ownUnits(getenv func(string) string) string {
	return filepath.Join(filepath.Dir(filepath.Dir(config.UserFile(getenv))), "systemd", "user")
}

// joinOptions are the flags of mcp join, and who joins.
type joinOptions struct {
	dir, units, publish string
	noUnit              bool
	uid                 int // of who joins
}

// planFor decides where everything goes. It writes nothing.
func planFor(s *session.Session, token identity.Token, o joinOptions) (*plan, error) {
	p := &plan{token: token, publish: o.publish, config: cmp.Or(s.ConfigFile, s.Getenv("MCP_CONFIG")), dir: identity.Directory(o.dir)}
	p.own = o.uid != 0 && (token.Role == identity.Node || token.Role == identity.Builder)
	role := machineRoleOf(token.Who())
	if p.own {
		role.file, role.dir = "user/"+role.file, config.StateDir(s.Getenv, "identity")
	}
	if p.config == "" {
		if p.config = "/etc/mcp/mcp.toml"; token.Role.Person() || p.own {
			p.config = config.UserFile(s.Getenv)
		}
	}
	if p.config == "" {
		return nil, exit.Usage(errors.New("this user has no home directory: name a configuration with --config"))
	}
	var err error
	if p.config, err = filepath.Abs(p.config); err != nil {
		return nil, err
	}
	if err := p.readConfig(s); err != nil {
		return nil, err
	}
	if p.dir == "" {
		switch p.dir = identity.Directory(role.dir); {
		case p.door.Enabled():
			p.dir = p.door.Directory()
		case token.Role.Person():
			p.dir = identity.Directory(filepath.Join(filepath.Dir(p.config), "identity"))
		}
	}
	dir, err := filepath.Abs(string(p.dir))
	if err != nil {
		return nil, err
	}
	p.dir = identity.Directory(dir)
	if p.door.Enabled() && p.door.Identity != dir {
		return nil, exit.Usage(fault.New(fault.Conflict, "%s has its identity in %s, not in %s", p.config, p.door.Identity, dir).
			WithHint("leave out --dir, or name another configuration with --config"))
	}
	if !token.Role.Person() && !o.noUnit {
		units := cmp.Or(o.units, systemUnits)
		if o.units == "" && p.own {
			units = ownUnits(s.Getenv)
		}
		if err := p.readUnit(role, units, s.Getenv); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// readConfig reads the existing configuration.
func (p *plan) readConfig(s *session.Session) error {
	text, err := os.ReadFile(p.config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Wrap(fault.Unauthorized, err, "reading the configuration")
	}
	p.before = text
	cfg, err := config.Load(p.config, func(name string) string {
		if strings.HasPrefix(name, "MCP_") {
			return "" // of the file alone
		}
		return s.Getenv(name)
	})
	if err != nil {
		return exit.Usage(err)
	}
	if p.token.Role != identity.Control {
		p.keys = cfg.Temporal.EncryptionKeyFile
	}
	if !regexp.MustCompile(`(?m)^\s*\[door\]`).Match(text) {
		return nil
	}
	p.door = cfg.Door
	if !slices.ContainsFunc(p.door.Addresses, func(a string) bool { return slices.Contains(p.token.Door, a) }) {
		return exit.Usage(fault.New(fault.Conflict, "%s has other gateways in [door] than the token: %s, not %s",
			p.config, strings.Join(p.door.Addresses, " "), strings.Join(p.token.Door, " ")).
			WithHint("correct [door] addresses, or remove that section"))
	}
	return nil
}

// readUnit finds the unit of the role, and the user that it runs as.
func (p *plan) readUnit(role machineRole, units string, getenv func(string) string) error {
	text, err := systemd.Units.ReadFile(role.file)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "finding the unit of %s", p.token.Role)
	}
	if program, err := os.Executable(); err == nil && p.token.Role != identity.Edge {
		text = bytes.ReplaceAll(text, []byte("=/usr/local/bin/mcp "), []byte("="+program+" "))
	}
	if p.token.Role == identity.Builder {
		text = bytes.ReplaceAll(text, []byte("--builder %l"), []byte("--builder "+p.token.Name))
	}
	if p.config != "/etc/mcp/mcp.toml" && (!p.own || p.config != config.UserFile(getenv)) {
		text = bytes.Replace(text, []byte("\n[Service]\n"), []byte("\n[Service]\nEnvironment=MCP_CONFIG="+p.config+"\n"), 1)
	}
	p.unit, p.units, p.unitText = role.unit, units, text
	name := regexp.MustCompile(`(?m)^User=(\S+)$`).FindSubmatch(text)
	if name == nil {
		return nil
	}
	p.owner, err = user.Lookup(string(name[1]))
	if err != nil {
		return exit.Usage(fault.Wrap(fault.NotFound, err, "the unit %s runs as the user %s", role.unit, name[1]).
			WithHint("create it: useradd --system --home-dir /var/lib/mcp %s; or join with --no-unit", name[1]))
	}
	return nil
}

// prepare returns an error if what is to be written cannot be.
func (p *plan) prepare() error {
	if p.dir.Exists() {
		held, err := p.dir.Read()
		if err == nil && (held.Identity.Role != p.token.Role || held.Identity.Name != p.token.Name) {
			return exit.Usage(fault.New(fault.Conflict, "%s has the identity %s already", p.dir, held.Identity).
				WithHint("name another directory with --dir, or remove that one"))
		}
	}
	dirs := []string{string(p.dir), filepath.Dir(p.config)}
	if p.unit != "" {
		dirs = append(dirs, p.units)
	}
	for i, dir := range dirs {
		mode := fs.FileMode(0o755)
		if i == 0 {
			mode = 0o700
		}
		err := os.MkdirAll(dir, mode)
		if err == nil {
			err = probe(dir)
		}
		if err != nil {
			f := fault.Wrap(fault.Unauthorized, err, "joining needs to write to %s", dir)
			if os.Geteuid() != 0 {
				f = f.WithHint("run it as root")
			}
			return exit.Usage(f)
		}
	}
	return nil
}

// probe creates a file in a directory, and removes it.
func probe(dir string) error {
	file, err := os.CreateTemp(dir, ".mcp-join-*")
	if err != nil {
		return err
	}
	_ = file.Close()
	return os.Remove(file.Name())
}

// write writes certificate, configuration and unit, in this order: what names another comes
// after it.
func (p *plan) write(j enrol.Joined) error {
	if err := j.Save(p.dir); err != nil {
		return err
	}
	if err := p.giveAway(); err != nil {
		return err
	}
	if text := p.configText(j); text != nil {
		if err := os.WriteFile(p.config, text, modeOf(p.config, 0o644)); err != nil {
			return fault.Wrap(fault.Internal, err, "writing the configuration")
		}
	}
	if p.unit == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(p.units, p.unitName()), p.unitText, 0o644); err != nil {
		return fault.Wrap(fault.Internal, err, "installing the unit")
	}
	return nil
}

// modeOf returns the mode of a file, or of one that is created.
func modeOf(path string, created fs.FileMode) fs.FileMode {
	if info, err := os.Stat(path); err == nil {
		return info.Mode().Perm()
	}
	return created
}

// giveAway gives the directory of the identity to the user of the unit, who renews it.
func (p *plan) giveAway() error {
	if p.owner == nil || os.Geteuid() != 0 {
		return nil
	}
	uid, err := strconv.Atoi(p.owner.Uid)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "finding the user %s", p.owner.Username)
	}
	gid, err := strconv.Atoi(p.owner.Gid)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "finding the group of %s", p.owner.Username)
	}
	err = filepath.WalkDir(string(p.dir), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
	if err != nil {
		return fault.Wrap(fault.Internal, err, "giving %s to %s", p.dir, p.owner.Username)
	}
	return nil
}

// configText returns the configuration with what the identity needs; nil if it has that
// already.
func (p *plan) configText(j enrol.Joined) []byte {
	if p.door.Enabled() {
		return nil
	}
	var text bytes.Buffer
	if p.before == nil {
		fmt.Fprintf(&text, "# The configuration of this machine as %s.\n", j.Identity)
	} else {
		text.Write(bytes.TrimRight(p.before, "\n"))
		text.WriteString("\n")
	}
	quoted := make([]string, len(j.Doors))
	for i, d := range j.Doors {
		quoted[i] = strconv.Quote(d)
	}
	fmt.Fprintf(&text, "\n[door]\naddresses = [%s]\nidentity  = %q\n", strings.Join(quoted, ", "), string(p.dir))
	if p.before != nil {
		return text.Bytes()
	}
	if j.Namespace != "" && j.Namespace != "default" {
		fmt.Fprintf(&text, "\n[temporal]\nnamespace = %q\n", j.Namespace)
	}
	switch j.Identity.Role {
	case identity.Node:
		fmt.Fprintf(&text, "\n[node]\nname = %q\n", j.Identity.Name)
		if p.publish != "" {
			fmt.Fprintf(&text, "publish = %q\n", p.publish)
		}
	case identity.Edge:
		fmt.Fprintf(&text, "\n[edge]\nname = %q\n", j.Identity.Name)
	}
	return text.Bytes()
}

// unitName returns the name of the unit's file: the template, if the unit is an instance.
func (p *plan) unitName() string {
	if template, _, ok := strings.Cut(p.unit, "@"); ok {
		return template + "@.service"
	}
	return p.unit
}

func (p *plan) unitFile() string {
	if p.unit == "" {
		return ""
	}
	return filepath.Join(p.units, p.unitName())
}

// startTime bounds what systemctl does.
const startTime = time.Minute

// start has systemd start the unit, if there is one that reads the directory of units.
func (p *plan) start(ctx context.Context, getenv func(string) string) (bool, error) {
	switch {
	case p.own && (p.units != ownUnits(getenv) || !ownSystemdRuns(getenv)), !p.own && (p.units != systemUnits || !systemdRuns()):
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for _, args := range [][]string{{"daemon-reload"}, {"enable", "--now", p.unit}} {
		words := slices.Concat(p.systemctl()[1:], args)
		if said, err := exec.CommandContext(ctx, "systemctl", words...).CombinedOutput(); err != nil {
			return false, fault.New(fault.Internal, "the machine has joined, but systemctl %s fails: %.300s", strings.Join(words, " "), bytes.TrimSpace(said)).
				WithHint("see: %s", strings.Join(append(p.journalctl(), p.unit), " "))
		}
	}
	return true, nil
}

// systemctl and journalctl return the commands for the unit.
func (p *plan) systemctl() []string {
	if p.own {
		return []string{"systemctl", "--user"}
	}
	return []string{"systemctl"}
}

func (p *plan) journalctl() []string {
	if p.own {
		return []string{"journalctl", "--user-unit"}
	}
	return []string{"journalctl", "--unit"}
}

// command returns what serves the role without a unit.
func (p *plan) command() string {
	command := map[identity.Role]string{
		identity.Node: "mcp worker --node " + p.token.Name, identity.Builder: "mcp worker --builder " + p.token.Name + " --workspace DIR",
		identity.Control: "mcp worker --control", identity.Edge: "mcp-edge --name " + p.token.Name,
	}[p.token.Role]
	if p.config != "/etc/mcp/mcp.toml" && !p.own {
		command += " --config " + p.config
	}
	return command
}

// ownSystemdRuns reports whether this user has a systemd that runs.
func ownSystemdRuns(getenv func(string) string) bool {
	dir := getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(dir, "systemd"))
	return err == nil
}

// systemdRuns reports whether this machine has been started by systemd.
func systemdRuns() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}
