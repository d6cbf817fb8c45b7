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

// Held returns how many requests and connections wait.
func (p *Proxy) Held() int {
	p.holds.mu.Lock()
	defer p.holds.mu.Unlock()
	n := 0
	for _, waiting := range p.holds.waiting {
		n += waiting
	}
	return n
}

// ProxyHeader is the header of the PROXY protocol.
var ProxyHeader = proxyHeader

// Compared returns how many comparisons of passwords are remembered.
func (p *Proxy) Compared() int {
	p.passwords.mu.Lock()
	defer p.passwords.mu.Unlock()
	return len(p.passwords.outcomes)
}

// HoldComparisons keeps passwords from being compared until release is called.
func (p *Proxy) HoldComparisons() (release func()) {
	for range cap(p.passwords.turns) {
		p.passwords.turns <- struct{}{}
	}
	return func() {
		for range cap(p.passwords.turns) {
			<-p.passwords.turns
		}
	}
}

// Unknown returns what the passwords of unknown users are compared with.
func Unknown(hashes map[string]string) string { return newUsers(hashes).unknown }

// Forgive lets an upstream that was set aside be tried again.
func (p *Proxy) Forgive(address string) {
	if u := p.upstreams.get(address); u.failed.Load() != 0 {
		u.failed.Store(1)
	}
}

// Ejected reports whether an upstream is set aside.
func (p *Proxy) Ejected(address string) bool { return p.upstreams.get(address).ejected() }
