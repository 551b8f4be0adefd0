// Package publish brings alerts out of the agent: to the standard output as
// Falco prints them, and to the bus through a bounded spool on disk.
//
// Nothing here ever holds up the event loop. What cannot be taken is dropped and
// counted, each reason by itself; see Outbox.Lost and Printer.Lost.
package publish
