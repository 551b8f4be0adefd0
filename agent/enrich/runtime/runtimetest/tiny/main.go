// Command tiny is the only program in the tests' container image. It reads the files
// that it is given, says that it is there and waits for its end.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	for _, name := range os.Args[1:] {
		if _, err := os.ReadFile(name); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("ready")
	<-end
}
