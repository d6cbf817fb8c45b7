package fleet

import (
	"maps"
	"slices"
	"time"

	"github.com/metacircular/mcp/servicedef"
)

// Bounds of what an edge may say.
const (
	// maxEdgePorts bounds the ports of an edge, maxAddresses its addresses, maxUpstreams
	// the upstreams that it counts requests of.
	maxEdgePorts = 1000
	maxAddresses = 100
	maxUpstreams = 10_000
	// maxServices bounds the services of which an edge has a publication, and maxAcks what
	// it acknowledges at once.
	maxServices = 20_000
	maxAcks     = 20_000
	// versionAhead is how far the version of a publication may be past the clock.
	versionAhead = 365 * 24 * time.Hour
)

// Checked returns the record of an edge with only values that it can have.
func (r EdgeRecord) Checked(now time.Time) EdgeRecord {
	r.Version, r.Hostname, r.Machine = word(r.Version), word(r.Hostname), r.Machine.checked()
	r.Addresses = slices.Clone(r.Addresses[:min(len(r.Addresses), maxAddresses)])
	for i := range r.Addresses {
		r.Addresses[i] = word(r.Addresses[i])
	}
	ports := map[int]int{}
	for _, from := range slices.Sorted(maps.Keys(r.Ports)) {
		if isPort(from) && isPort(r.Ports[from]) && len(ports) < maxEdgePorts {
			ports[from] = r.Ports[from]
		}
	}
	r.Ports = ports
	r.Versions = checkedVersions(r.Versions, now)
	return r
}

// Checked returns the status of an edge with only values that it can have.
func (s EdgeStatus) Checked(now time.Time) EdgeStatus {
	s.Versions = checkedVersions(s.Versions, now)
	active := map[string]int{}
	for _, upstream := range slices.Sorted(maps.Keys(s.Active)) {
		if len(active) < maxUpstreams {
			active[word(upstream)] = within(s.Active[upstream], 0, maxCount)
		}
	}
	s.Active = active
	s.Listening = slices.DeleteFunc(slices.Clone(s.Listening[:min(len(s.Listening), maxEdgePorts)]), func(port int) bool { return !isPort(port) })
	s.Certificates = slices.Clone(s.Certificates[:min(len(s.Certificates), maxCertificates)])
	for i := range s.Certificates {
		c := &s.Certificates[i]
		c.Hostname, c.Issuer, c.Problem = word(c.Hostname), word(c.Issuer), Text(c.Problem, maxText)
		c.From, c.Until, c.Failed = moment(c.From), moment(c.Until), moment(c.Failed)
	}
	s.Problems = CheckedProblems(s.Problems)
	s.Started = moment(s.Started)
	return s
}

// Checked returns an observation with only values that it can have.
func (o EdgeObservation) Checked() EdgeObservation {
	o.Problem = Text(o.Problem, maxText)
	if o.Status != nil {
		status := o.Status.Checked(o.At)
		o.Status = &status
	}
	return o
}

// maxCertificates bounds the certificates of an edge.
const maxCertificates = 10_000

// CheckedAcks returns the acknowledgements that can be true.
func CheckedAcks(acks []EdgeAck, now time.Time) []EdgeAck {
	var checked []EdgeAck
	for _, a := range acks[:min(len(acks), maxAcks)] {
		if servicedef.IsLabel(a.Edge) && servicedef.IsLabel(a.Service) && credible(a.Version, now) {
			a.Problems = CheckedProblems(a.Problems)
			checked = append(checked, a)
		}
	}
	return checked
}

func checkedVersions(versions map[string]int64, now time.Time) map[string]int64 {
	checked := map[string]int64{}
	for _, service := range slices.Sorted(maps.Keys(versions)) {
		if servicedef.IsLabel(service) && credible(versions[service], now) && len(checked) < maxServices {
			checked[service] = versions[service]
		}
	}
	return checked
}

// credible reports whether a registry may have given out the version of a publication: it
// is a time, or little more. The next one must be greater than what edges have.
func credible(version int64, now time.Time) bool {
	return version > 0 && version <= now.Add(versionAhead).UnixMicro()
}

func isPort(port int) bool { return port > 0 && port <= MaxPort }

// CheckedProblems returns what an edge says of itself, as the registry can hold it.
func CheckedProblems(problems []string) []string {
	var checked []string
	for _, text := range problems[:min(len(problems), maxProblems)] {
		checked = append(checked, Text(text, maxText))
	}
	return checked
}

// maxProblems bounds the problems of an edge.
const maxProblems = 100
