package compose

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// composeOptions are options of volumes that Compose accepts in its short form.
var composeOptions = []string{"ro", "rw", "z", "Z", "nocopy", "shared", "rshared", "slave", "rslave", "private", "rprivate"}

func (e *exported) mountVolumes() {
	var volumes []any
	same := true
	for _, text := range e.component.Volumes {
		source, rest, _ := strings.Cut(text, ":")
		target, options, _ := strings.Cut(rest, ":")
		kept := slices.DeleteFunc(strings.Split(options, ","), func(o string) bool { return o != "" && !slices.Contains(composeOptions, o) })
		whole := source + ":" + target
		if len(kept) > 0 && kept[0] != "" {
			whole += ":" + strings.Join(kept, ",")
		}
		if whole != text {
			same = false
			e.note("volumes", "%s: Compose knows %s only", text, whole)
		}
		if !path.IsAbs(source) {
			e.ex.volumes.set(source, inner("name", source))
		}
		volumes = append(volumes, escaped(whole))
	}
	if volumes != nil {
		e.out.set("volumes", volumes)
	}
	if same {
		delete(e.left, "volumes")
	}
}

func (e *exported) mountSecrets() {
	var secrets []any
	for _, secret := range e.component.Secrets {
		m := &mapping{}
		m.set("source", secret.Source)
		if secret.Target != "" {
			m.set("target", secret.Target)
		}
		if secret.UID != 0 {
			m.set("uid", fmt.Sprint(secret.UID))
		}
		if secret.GID != 0 {
			m.set("gid", fmt.Sprint(secret.GID))
		}
		if secret.Mode != "" {
			m.set("mode", secret.Mode)
		}
		if len(m.keys) == 1 {
			secrets = append(secrets, secret.Source)
		} else {
			secrets = append(secrets, m)
		}
		declared := inner("name", secret.Source)
		declared.set("external", true)
		e.ex.secrets.set(secret.Source, declared)
	}
	if secrets != nil {
		e.out.set("secrets", secrets)
		e.note("secrets", "their values are not in the file: create them for the engine that runs it")
	}
	delete(e.left, "secrets")
}

func (e *exported) mountFiles() {
	var configs []any
	for i, file := range e.component.Files {
		if file.Base64 != "" {
			e.note("files", "%s is no text, which Compose does not hold", file.Target)
			return
		}
		name := fmt.Sprintf("%s-%d", e.component.Name, i)
		declared := inner("content", escaped(file.Content))
		if file.Source != "" {
			declared = inner("file", "./"+file.Source)
		}
		e.ex.configs.set(name, declared)
		m := inner("source", name)
		m.set("target", file.Target)
		if file.UID != 0 {
			m.set("uid", fmt.Sprint(file.UID))
		}
		if file.GID != 0 {
			m.set("gid", fmt.Sprint(file.GID))
		}
		if file.Mode != "" {
			m.set("mode", file.Mode)
		}
		configs = append(configs, m)
	}
	if configs != nil {
		e.out.set("configs", configs)
	}
	delete(e.left, "files")
}
