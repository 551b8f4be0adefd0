// Package publish brings alerts out of the agent: to Falco's outputs (standard
// output, file, HTTP server, syslog, program), each a Channel with a Sink, and to
// the bus through a bounded spool on disk, the Outbox.
//
// Nothing here ever holds up the event loop. What cannot be taken is dropped and
// counted, each reason by itself; see Outbox.Lost and Channel.Lost.
package publish
