package proxy

// Dials returns how often an address was dialled.
func (p *Proxy) Dials(address string) int {
	if u := p.upstreams.get(address); u != nil {
		return int(u.dials.Load())
	}
	return 0
}

// Known returns how many upstreams are known.
func (p *Proxy) Known() int { return len(p.upstreams.all()) }
