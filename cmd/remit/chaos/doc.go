// Package chaos holds several real instances of Remit, on a real PostgreSQL and a real Redis, to their
// promises while they are killed, cut off, filled up and taken down under load. Agents and a Guard
// work all the while and write down what they were told; a checker that knows nothing but their
// notes then looks for what must not be: a success twice, a call after its task's end, a ledger that
// lacks what was acknowledged.
//
//	proxy.go      TCP between each pair: cut, stall, delay, half open, cut after so many bytes
//	balancer.go   HTTP to the instances that say they are ready
//	postgres.go   PostgreSQL to be killed, filled and promoted
//	instance.go   a remit of its own process
//	world.go      all of them together
//	work.go       what agents do, again and again
//	hostile.go    what strangers try, at a bounded rate, in a process of their own
//	size.go       how long good clients wait, and how large an instance is
//	history.go    what they were told, and the checks
//	full.go       a disk to be filled
//	faults.go     what happens to them
//
// Every process is started here and ended here, by its own id.
package chaos
