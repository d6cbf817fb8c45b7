package podman

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/metacircular/mcp/internal/fault"
	"github.com/metacircular/mcp/internal/runtime"
	"github.com/metacircular/mcp/internal/runtime/podman/creation"
	"github.com/metacircular/mcp/servicedef"
)

// Inspect describes one container, given its name or its full id.
func (e *Engine) Inspect(ctx context.Context, name string) (runtime.ContainerInfo, error) {
	data, err := e.inspect(ctx, name)
	if err != nil {
		return runtime.ContainerInfo{}, err
	}
	info := describe(data)
	if restarted := info.Restarts > 0 && info.State != runtime.Stopped; restarted && time.Since(info.Started) < recent {
		info.ExitCode = e.lastExit(ctx, data.ID)
	}
	if info.State == runtime.Stopped && info.ExitCode != 0 {
		info.Platform = e.platformOf(ctx, data.Image)
	}
	return info, nil
}

// recent is how long after a restart the exit code of the run before is read, and
// lastExitTime bounds that.
const (
	recent       = time.Minute
	lastExitTime = 2 * time.Second
)

// lastExit returns the code with which a container's program ended before podman
// restarted it. Podman's description of a container that runs has the code 0; its events
// have the right one, if they are kept.
func (e *Engine) lastExit(ctx context.Context, id string) int {
	ctx, cancel := context.WithTimeout(ctx, lastExitTime)
	defer cancel()
	filters, _ := json.Marshal(map[string][]string{"container": {id}, "event": {"died"}})
	stream, err := e.open(ctx, get("/events").with(url.Values{"stream": {"false"}, "since": {"5m"}, "filters": {string(filters)}}))
	if err != nil {
		return runtime.ExitUnknown
	}
	defer stream.Close()
	code := runtime.ExitUnknown
	for events := json.NewDecoder(stream); ; {
		var event struct {
			Actor struct {
				Attributes struct {
					Code string `json:"containerExitCode"`
				}
			}
		}
		if events.Decode(&event) != nil {
			return code
		}
		if n, err := strconv.Atoi(event.Actor.Attributes.Code); err == nil {
			code = n
		}
	}
}

// platformOf returns the platform of an image, given its id; "" if podman does not have
// it. An image with that id never changes.
func (e *Engine) platformOf(ctx context.Context, image string) string {
	if known, found := e.platforms.Load(image); found {
		return known.(string)
	}
	var answer struct{ Os, Architecture string }
	if image == "" || e.ask(ctx, get("/images/%s/json", image), &answer) != nil || answer.Architecture == "" {
		return ""
	}
	platform := answer.Os + "/" + answer.Architecture
	e.platforms.Store(image, platform)
	return platform
}

// inspected is the part of podman's description of a container that is used.
type inspected struct {
	ID           string
	Name         string
	Image        string // its id
	ImageName    string
	ImageDigest  string
	RestartCount int
	State        struct {
		Status     string
		Pid        int
		ExitCode   int
		OOMKilled  bool
		StartedAt  time.Time
		FinishedAt time.Time
		Health     struct{ Status string }
	}
	Config struct {
		Labels      map[string]string
		StopTimeout uint // seconds
	}
	HostConfig struct {
		RestartPolicy struct{ Name string }
		PortBindings  map[string][]hostPort
		Memory        int64
		LogConfig     struct{ Type, Path string }
	}
	Mounts          []struct{ Source, Destination string }
	NetworkSettings struct {
		Networks map[string]struct{ IPAddress string }
	}
}

// hostPort is an address on which podman publishes a port.
type hostPort struct{ HostIP, HostPort string }

// inspect returns podman's description of a container. Podman also accepts an id
// prefix, so a name such as "cafe" could find, and a caller then stop or remove,
// another container; inspect does not.
func (e *Engine) inspect(ctx context.Context, name string) (*inspected, error) {
	data, err := e.askInspected(ctx, name)
	if err != nil && storageGone(err) {
		return e.halfRemoved(ctx, name)
	}
	if err != nil {
		return nil, e.translate(ctx, err, "inspect container %s", name)
	}
	if data.Name != name && data.ID != name {
		return nil, fault.New(fault.NotFound, "inspect container %s: no container with that name", name)
	}
	if data.State.Status == "" {
		return nil, fault.New(fault.Internal, "inspect container %s: podman's answer is incomplete", name)
	}
	return data, nil
}

// askInspected asks podman for a container's description, and asks again if the
// container's program ended meanwhile.
func (e *Engine) askInspected(ctx context.Context, name string) (*inspected, error) {
	for try := 1; ; try++ {
		data := new(inspected)
		err := e.ask(ctx, get("/containers/%s/json", name), data)
		if err == nil || try == inspectTries || !endedMeanwhile(err) {
			return data, err
		}
	}
}

// inspectTries bounds the attempts to inspect a container whose program ends
// meanwhile: one that crashes in a loop may do so twice.
const inspectTries = 5

// endedMeanwhile reports whether podman before 4.4 failed to inspect a container
// because its program ended while podman read its files in /proc.
func endedMeanwhile(err error) bool { return causesOf(err).has(processGone) }

// storageGone reports whether podman cannot inspect a container because its
// storage or layer is gone: podman was killed while it removed the container.
func storageGone(err error) bool {
	causes := causesOf(err)
	return causes.has(storeGone) || causes.has(layerGone)
}

// halfRemoved describes, from podman's list, a container that podman cannot
// inspect because it was killed during the removal. It can still be removed.
func (e *Engine) halfRemoved(ctx context.Context, name string) (*inspected, error) {
	found, err := e.list(ctx, runtime.Selection{})
	if err != nil {
		return nil, err
	}
	for _, c := range found {
		if c.ID != name && !slices.Contains(c.Names, name) {
			continue
		}
		data := &inspected{ID: c.ID, ImageName: c.Image}
		data.State.Status, data.Config.Labels = removing, c.Labels
		if len(c.Names) > 0 {
			data.Name = c.Names[0]
		}
		return data, nil
	}
	return nil, fault.New(fault.NotFound, "inspect container %s: no container with that name", name)
}

func describe(data *inspected) runtime.ContainerInfo {
	info := runtime.ContainerInfo{
		ID: data.ID, Name: data.Name, Image: data.ImageName, Digest: data.ImageDigest,
		State: stateOf(data.State.Status), ExitCode: data.State.ExitCode, Restarts: data.RestartCount,
		Health: data.State.Health.Status, Labels: data.Config.Labels, Ports: publishedPorts(data.HostConfig.PortBindings),
		Memory: data.HostConfig.Memory, OutOfMemory: data.State.OOMKilled, PID: data.State.Pid,
		StopTimeout: time.Duration(data.Config.StopTimeout) * time.Second,
	}
	for _, mount := range data.Mounts {
		if mount.Destination != creation.HostsFile {
			info.Volumes = append(info.Volumes, mount.Source)
		}
	}
	info.Networks = slices.Sorted(maps.Keys(data.NetworkSettings.Networks))
	info.Addresses = map[string]netip.Addr{}
	for name, n := range data.NetworkSettings.Networks {
		// An engine drops the address of a container a moment after it has ended.
		if address, err := netip.ParseAddr(n.IPAddress); err == nil && info.State == runtime.Running {
			info.Addresses[name] = address
		}
	}
	slices.Sort(info.Volumes)
	if data.State.StartedAt.Year() > 1 { // year 1 means never
		info.Started = data.State.StartedAt
	}
	if data.State.FinishedAt.Year() > 1 {
		info.Finished = data.State.FinishedAt
	}
	return info
}

// publishedPorts reads podman's map from "8080/tcp" to host addresses, which
// podman keeps whether the container runs or not.
func publishedPorts(bindings map[string][]hostPort) []servicedef.Port {
	var ports []servicedef.Port
	for key, hosts := range bindings {
		number, protocol, _ := strings.Cut(key, "/")
		inside, err := strconv.Atoi(number)
		if err != nil {
			continue
		}
		for _, host := range hosts {
			outside, err := strconv.Atoi(host.HostPort)
			if err != nil {
				continue
			}
			ports = append(ports, servicedef.Port{
				IP: host.HostIP, Host: outside, Container: inside, Protocol: protocol,
			})
		}
	}
	return sortedPorts(ports)
}

func sortedPorts(ports []servicedef.Port) []servicedef.Port {
	slices.SortFunc(ports, func(a, b servicedef.Port) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.IP, b.IP))
	})
	return ports
}
