// Command probe is what tests run in pods: a server, clients that say by their
// exit status whether they got through, and attacks. It is static and does not
// need a shell.
//
//	probe serve ADDRESS      HTTP (hello, and the caller's address); on the port above, lines come back (TCP and UDP)
//	probe get URL            one request
//	probe tcp HOST:PORT      one connection
//	probe udp HOST:PORT      one datagram there and back
//	probe hold HOST:PORT [DURATION]
//	                         one connection, a line every 100 ms, until one does not come back within that time (2s)
//	probe sleep              nothing
//	probe attack NAME ...    see attack.go
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = "usage: probe serve ADDRESS | get URL | tcp HOST:PORT | udp HOST:PORT | hold HOST:PORT [DURATION] | sleep | attack NAME ..."

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 1 && args[0] == "sleep" {
		wait()
		return nil
	}
	if len(args) >= 2 && args[0] == "attack" {
		return attack(args[1], args[2:])
	}
	if len(args) == 3 && args[0] == "hold" {
		longest, err := time.ParseDuration(args[2])
		if err != nil {
			return err
		}
		return hold(args[1], longest)
	}
	if len(args) == 2 {
		switch args[0] {
		case "serve":
			return serve(args[1])
		case "get":
			return get(args[1])
		case "tcp":
			return dial(args[1])
		case "udp":
			return datagram(args[1])
		case "hold":
			return hold(args[1], patience)
		}
	}
	fmt.Fprintln(os.Stderr, usage)
	os.Exit(2)
	return nil
}

// wait returns when the pod is told to end: the first process of a container
// gets only the signals that it asks for.
func wait() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
}
