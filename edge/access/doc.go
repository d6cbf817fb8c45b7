// Package access keeps the access logs of services: one file for each, of bounded size,
// with a JSON object on each line (fleet.Access).
//
// A request never waits for the disk. Lines are collected in memory and written twice a
// second; those for which there is no room, because the disk is full or slow, are
// dropped and counted.
package access
