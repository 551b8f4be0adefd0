package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// patience is how long a client waits for an answer. A packet that a policy drops
// has none.
const patience = 2 * time.Second

func serve(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	next := net.JoinHostPort(host, strconv.Itoa(number+1))
	lines, err := net.Listen("tcp", next)
	if err != nil {
		return err
	}
	datagrams, err := net.ListenPacket("udp", next)
	if err != nil {
		return err
	}
	ended := make(chan error, 3)
	go func() { ended <- echo(lines) }()
	go func() { ended <- echoDatagrams(datagrams) }()
	go func() {
		name, _ := os.Hostname()
		ended <- (&http.Server{Addr: address, ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "hello from %s to %s\n", name, r.RemoteAddr)
		})}).ListenAndServe()
	}()
	go func() { wait(); ended <- nil }()
	return <-ended
}

func echo(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c)
		}()
	}
}

func echoDatagrams(c net.PacketConn) error {
	buf := make([]byte, 1500)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		if _, err := c.WriteTo(buf[:n], from); err != nil {
			return err
		}
	}
}

func get(url string) error {
	r, err := (&http.Client{Timeout: patience}).Get(url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	fmt.Println(r.Status)
	_, err = io.Copy(os.Stdout, r.Body)
	return err
}

func dial(address string) error {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	fmt.Println(c.LocalAddr(), "reached", c.RemoteAddr())
	return c.Close()
}

func datagram(address string) error {
	c, err := net.DialTimeout("udp", address, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	return there(c, bufio.NewReader(c), "hello", patience)
}

func hold(address string, longest time.Duration) error {
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	back := bufio.NewReader(c)
	for i := range 1 << 30 {
		if err := there(c, back, strconv.Itoa(i), longest); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("held for years")
}

// there sends a line, waits until it is back but no longer than that, and prints it.
func there(c net.Conn, back *bufio.Reader, line string, longest time.Duration) error {
	if err := c.SetDeadline(time.Now().Add(longest)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c, line); err != nil {
		return err
	}
	answer, err := back.ReadString('\n')
	if err != nil {
		return err
	}
	fmt.Print(answer)
	return nil
}
