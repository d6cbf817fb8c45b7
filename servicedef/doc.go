// Package servicedef defines the service definition: the TOML file that an
// operator writes for each service, its defaults and its rules.
//
// Parse and Load return a Service whose defaults are filled in and which is
// valid, or an Errors with every problem by file, line and key. Package servicedir
// reads a directory of definitions. ContainerNameFor and PortEnv give the names that
// a running service has outside its definition.
//
// The package depends on neither podman nor the fleet.
package servicedef
