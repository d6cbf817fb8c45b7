package servicedef

import "slices"

// hostPlace is a host port that only one container can bind.
type hostPlace struct {
	node, protocol string
	port           int
}

// hostHolder is the key of a definition that holds a port.
type hostHolder struct {
	component int
	key       string
	port      Port
}

// hostPorts checks that no two components name the same host port of a node, whatever
// its address, and that no component binds one twice.
func (r *report) hostPorts(s *Service) {
	held := map[hostPlace][]hostHolder{}
	for i, c := range s.Components {
		for j, text := range c.Ports {
			key := elementKey(componentKey(i, "ports"), j)
			ports, err := parsePort(text)
			if err == nil {
				r.holdPorts(held, i, key, c.Node, ports)
			}
		}
	}
}

// holdPorts records the holder of each port, up to the first that is taken: one
// problem is enough for a range.
func (r *report) holdPorts(held map[hostPlace][]hostHolder, component int, key, node string, ports []Port) {
	for _, p := range ports {
		at := hostPlace{node, p.Protocol, p.Host}
		i := slices.IndexFunc(held[at], func(h hostHolder) bool { return h.component != component || h.port.overlap(p) })
		if i >= 0 {
			r.add(key, "host port %d/%s on node %s is taken by %s", p.Host, p.Protocol, node, held[at][i].key)
			return
		}
		held[at] = append(held[at], hostHolder{component, key, p})
	}
}
