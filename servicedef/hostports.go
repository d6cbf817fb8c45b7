package servicedef

import "slices"

// hostPlace is where two ports may meet.
type hostPlace struct {
	node, protocol string
	port           int
}

// hostHolder is who has a port, by the key in the definition.
type hostHolder struct {
	key  string
	port Port
}

// hostPorts checks that no host port is named twice on one node.
func (r *report) hostPorts(s *Service) {
	held := map[hostPlace][]hostHolder{}
	for i, c := range s.Components {
		for j, text := range c.Ports {
			key := elementKey(joinKey(elementKey("components", i), "ports"), j)
			ports, err := parsePort(text)
			if err == nil {
				r.holdPorts(held, key, c.Node, ports)
			}
		}
	}
}

// holdPorts notes who holds the ports, up to the first that is taken: one
// problem is enough for a range.
func (r *report) holdPorts(held map[hostPlace][]hostHolder, key, node string, ports []Port) {
	for _, p := range ports {
		at := hostPlace{node, p.Protocol, p.Host}
		i := slices.IndexFunc(held[at], func(h hostHolder) bool { return h.port.overlap(p) })
		if i >= 0 {
			r.add(key, "host port %d/%s on node %s is taken by %s", p.Host, p.Protocol, node, held[at][i].key)
			return
		}
		held[at] = append(held[at], hostHolder{key, p})
	}
}
