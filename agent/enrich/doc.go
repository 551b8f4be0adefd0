// Package enrich knows who did what an event says: it keeps the process table, finds
// the container of each process by its cgroup, and makes names absolute.
//
// A process is its pid and its start time together, so a pid that is used again is
// never taken for its predecessor. The table starts from /proc and then follows the
// events (fork, exec, exit, and the calls that change a process's state); what it missed
// it reads from /proc when it first sees the process. An entry that has ended stays for
// some seconds, for events that arrive late.
//
// A container is the cgroup directory whose name holds a container's id, wherever
// below it a process sits. Its start is that of the first process seen in it.
//
// What cannot be read off an event is looked up beside the pipeline, in the packages
// below, and told to the table: a container's metadata (runtime), its pod (pod), names
// of users (user) and of addresses (host).
package enrich
