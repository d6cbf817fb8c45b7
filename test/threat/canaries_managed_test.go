package threat

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// managed are the parts of a definition that name secrets of the service.
type managed struct{ files, variables, env, job, step string }

// managedBy returns what the definition of a service names: that of canary has secrets of
// its own, in each place where a definition can name one, and a value that is none.
func managedBy(service string) managed {
	m := managed{files: `"hand-file"`}
	if service == "canary" {
		m = managed{
			files:     `"hand-file", "managed-mounted"`,
			variables: `, STDIN = "managed-stdin", EXEC = "managed-exec", IMPORTED = "IMPORTED"`,
			env:       `env = { DATABASE_URL = "postgres://app:{secret:managed-file|urlencode}@db/app", PLAIN = "PLANTED" }`,
			job:       `, OWN = "managed-job"`,
			step:      `, OWN = "managed-step"`,
		}
	}
	return m
}

// makeKeys makes the file of encryption keys, the operator's signing key and Temporal's
// profile, whose secrets are canaries.
func (r *canaryRig) makeKeys() {
	r.file("encryption.keys", "20261130-canary "+base64.StdEncoding.EncodeToString(r.bytesOf("encryption key"))+"\n")
	r.file("signing.key", "MCP-SIGNING-KEY-"+base64.RawURLEncoding.EncodeToString(r.bytesOf("signing key"))+"\n")
	r.useProfile(r.profileOf(fmt.Sprintf("api_key = %q", r.value("API key"))))
}

// bytesOf is a value that is a key of 32 bytes.
func (r *canaryRig) bytesOf(channel string) []byte {
	value := (r.value(channel) + strings.Repeat("x", 32))[:32]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values[channel] = value
	return []byte(value)
}

// profileOf is a file with the profile of Temporal's server.
func (r *canaryRig) profileOf(lines ...string) string {
	return fmt.Sprintf("[profile.canary]\naddress = %q\n%s\n[profile.canary.tls]\ndisabled = true\n", r.platform.Info().Temporal(), strings.Join(lines, "\n"))
}

// useProfile gives the commands a file of profiles.
func (r *canaryRig) useProfile(text string) { r.profile = r.file("temporal.toml", text) }

// setSecrets gives mcp the values of the service's own secrets.
func (r *canaryRig) setSecrets(t *testing.T) {
	t.Helper()
	r.must("secret", "keygen", filepath.Join(r.inputs, "recovery.key"))
	r.stdin = r.value("managed stdin") + "\n"
	r.must("secret", "set", "canary/managed-stdin")
	r.must("secret", "set", "canary/managed-file", "--file", r.input("managed file"), "--debug")
	r.must("secret", "set", "canary/managed-exec", "--exec", "cat '"+r.input("managed exec")+"'", "--json")
	for _, name := range []string{"mounted", "job", "step"} {
		r.must("secret", "set", "canary/managed-"+name, "--file", r.input("managed "+name))
	}
	r.must("secret", "import", "canary", r.file("import.env", "IMPORTED="+r.value("imported")+"\n"))
	// The private keys that mcp itself has made.
	keys, err := filepath.Glob(filepath.Join(r.dir, "keys", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, keys)
	r.watch("key of the node", read(keys[0]))
	r.watch("recovery key", read(filepath.Join(r.inputs, "recovery.key")))
}

// requireSecrets requires that the container has the values.
func (r *canaryRig) requireSecrets(t *testing.T, exec string) {
	t.Helper()
	for variable, value := range map[string]string{
		"HAND": r.value("hand-env"), "STDIN": r.value("managed stdin"), "EXEC": r.value(exec), "IMPORTED": r.value("imported"),
		"DATABASE_URL": "postgres://app:" + r.value("managed file") + "@db/app",
	} {
		// podman may lose the output of a program that ends at once.
		require.Eventually(t, func() bool { return r.podman("exec", "canary-app", "/app", "env", variable) == value }, time.Minute, 100*time.Millisecond, variable)
	}
}

// rotateSecrets replaces values, and has the old one revoked.
func (r *canaryRig) rotateSecrets(t *testing.T) {
	t.Helper()
	r.must("secret", "rotate", "canary/managed-exec", "--file", r.input("rotated"), "--revoke", "env >'"+filepath.Join(r.dir, "revoked.log")+"'", "--debug")
	require.Contains(t, string(read(filepath.Join(r.dir, "revoked.log"))), "MCP_SECRET=canary/managed-exec")
	r.requireSecrets(t, "rotated")
}

// provokeSecrets has errors that could quote a value of a secret, a key of the encryption,
// or that of Temporal's profile.
func (r *canaryRig) provokeSecrets(t *testing.T) {
	value := "'" + r.input("managed exec") + "'"
	for _, args := range [][]string{
		{"set", "canary/managed-exec", "--exec", "cat " + value + "; exit 3"},
		{"set", "canary/managed-exec", "--exec", "cat " + value + "; head -c 300000 /dev/zero"},
		{"set", "canary/..", "--file", r.input("managed file")},
		{"set", "canary/managed-file", "--file", r.input("managed file"), "--node", "none"},
		{"set", "none/managed-file", "--file", r.input("managed file")},
		{"import", "canary", r.file("broken.env", "A="+r.value("imported")+"\nB "+r.value("imported")+"\n")},
		{"import", "canary", r.file("quoted.env", "A=\""+r.value("imported")+"\nB='"+r.value("imported"))},
		{"rekey", "canary", "--identity", r.input("managed file")},
		{"rotate", "canary/managed-exec", "--file", r.input("rotated")},
		{"rotate", "canary/managed-exec", "--file", r.input("managed exec"), "--revoke", "exit 3"},
	} {
		r.within(time.Minute, append([]string{"secret"}, args...)...)
		r.within(time.Minute, append([]string{"secret", "--json", "--debug"}, args...)...)
	}
	// The last one waits for its revocation.
	r.must("secret", "rotate", "canary/managed-exec", "--revoke", "true")

	// A node that cannot use a value.
	r.must("secret", "set", "canary/managed-stdin", "--exec", `printf '\000'; cat '`+r.input("managed stdin")+"'")
	require.Contains(t, r.within(time.Minute, "deploy", "canary", "--debug"), "NUL")
	r.must("secret", "set", "canary/managed-stdin", "--file", r.input("managed stdin"))

	key := r.value("encryption key")
	encoded := base64.StdEncoding.EncodeToString([]byte(key))
	for i, text := range []string{key, "a " + key, "a " + encoded + " b", "a " + encoded + "\nb " + encoded, "A! " + encoded, encoded + " " + encoded} {
		file := r.file(fmt.Sprintf("broken%d.keys", i), text)
		r.configure(map[string]string{"temporal": fmt.Sprintf("encryption_key_file = %q", file)})
		for _, line := range []string{"key list", "key new", "status", "doctor", "config show", "migrate"} {
			r.mcp(strings.Fields(line)...)
		}
		r.mcp("worker", "--control", "--debug")
	}
	r.configure(nil)
	readable := r.file("readable.keys", "a "+encoded)
	require.NoError(t, os.Chmod(readable, 0o644))
	r.mcp("key", "list", "--file", readable)

	token := r.value("API key")
	for _, text := range []string{
		"[profile.canary]\napi_key = \"" + token, "[profile.canary]\napi_key = [\"" + token + "\"]\n", "[profile.canary]\n" + token + " = 1\n",
		"[profile.canary]\napi_key = " + token + "\n",
		r.profileOf(`api_key = "` + token + `\n"`), r.profileOf(`api_key = "` + token + `\u0000"`),
		r.profileOf("[profile.canary.grpc_meta]", `authorization = "Bearer `+token+`\n"`),
		strings.Replace(r.profileOf(`api_key = "`+token+`"`), "disabled = true", "disabled = false", 1),
		strings.Replace(r.profileOf(`api_key = "`+token+`"`), "disabled = true", `client_key_data = "`+token+`"`, 1),
	} {
		r.useProfile(text)
		for _, line := range []string{"status --debug", "config show"} {
			r.mcp(strings.Fields(line)...)
		}
	}
	r.makeKeys()
}

// signers returns the line that has the node trust the operator's signatures.
func (r *canaryRig) signers(t *testing.T) string {
	t.Helper()
	var signer struct{ Line string }
	require.NoError(t, json.Unmarshal([]byte(r.must("secret", "signer", "--json")), &signer))
	return signer.Line
}
