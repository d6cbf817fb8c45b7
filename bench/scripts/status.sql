-- The rows that mcp status shows: every component of every release, its routes,
-- and its last observed state.
select s.name, s.release, s.active, s.dirty, c.name, c.node, c.image, c.digest, r.route, r.port, r.host_port, o.state
from services s
join components c on c.service = s.name
left join component_routes r on r.service = c.service and r.component = c.name and r.committed and r.route <> ''
left join observed_containers o on o.node = c.node and o.name = c.container
order by s.name, c.name, r.route
