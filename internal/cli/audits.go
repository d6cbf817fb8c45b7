package cli

// Audits returns the verbs that change something, each with the verb that mcp audit
// shows for it.
func Audits() map[string]string {
	audits := map[string]string{}
	for _, verb := range []string{
		"adopt", "build", "cancel", "cp", "deploy", "edge admit", "edge remove", "exec", "identity create",
		"identity revoke", "identity rotate", "job cancel", "job pause", "job resume", "join", "key forget",
		"maintenance", "migrate", "node activate", "node drain", "node remove", "port-forward", "purge", "restart", "rollback", "run",
		"secret rekey", "secret rm", "secret rotate", "secret set", "start", "stop", "sync", "undeploy",
	} {
		audits[verb] = verb
	}
	audits["secret import"] = "secret set"
	audits["node join"] = "join"
	return audits
}
