//go:build linux

package capture_test

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"riposte/agent/event"
)

// muxed is a call as socketcall takes it, where the 32-bit table has it so too.
type muxed struct{ nr64, nr32, mux int }

// sock makes a call on a socket, for 32 bit by its number and then by socketcall.
func (c *caller) sock(typ event.Type, m muxed, end error, first string, args []uintptr, w told) (ret int64) {
	ret = c.made(typ, m.nr64, m.nr32, end, first, args, w)
	if c.compat && m.mux != no && (end != nil || m.nr32 == no) {
		ret = c.made(typ, no, 102, end, first, []uintptr{uintptr(m.mux), c.words(args)}, w)
	}
	return ret
}

// words is an array of 32-bit numbers.
func (c *caller) words(args []uintptr) uintptr {
	var b []byte
	for _, a := range append(args, make([]uintptr, 6-len(args))...) {
		b = binary.LittleEndian.AppendUint32(b, uint32(a))
	}
	return c.put(b)
}

// pointers is an array of numbers of the table's width.
func (c *caller) pointers(args ...uintptr) uintptr {
	if c.compat {
		var b []byte
		for _, a := range args {
			b = binary.LittleEndian.AppendUint32(b, uint32(a))
		}
		return c.put(b)
	}
	var b []byte
	for _, a := range args {
		b = binary.LittleEndian.AppendUint64(b, uint64(a))
	}
	return c.put(b)
}

func inet4(port int) []byte {
	b := binary.LittleEndian.AppendUint16(nil, unix.AF_INET)
	b = binary.BigEndian.AppendUint16(b, uint16(port))
	return append(b, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)
}

func (c *caller) socket(family, kind int) uintptr {
	fd, err := unix.Socket(family, kind, 0)
	must("socket", err, nil)
	return uintptr(fd)
}

// bound is a socket bound to a free port of the loopback.
func (c *caller) bound(kind int) (fd uintptr, port int) {
	fd = c.socket(unix.AF_INET, kind)
	must("bind", unix.Bind(int(fd), &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), nil)
	return fd, portOf(fd)
}

func portOf(fd uintptr) int {
	name, err := unix.Getsockname(int(fd))
	must("name", err, nil)
	return name.(*unix.SockaddrInet4).Port
}

func here(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func (c *caller) sockets() {
	c.sock(event.SocketCall, muxed{unix.SYS_SOCKET, 359, 1}, nil, "fd", []uintptr{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDP}, told{
		File: want{"kind": "4", "l4": "17"}, Args: want{"fd": "<4u>", "domain": "AF_INET", "type": "2", "proto": "17"},
	})
	c.sock(event.SocketCall, muxed{unix.SYS_SOCKET, 359, 1}, unix.EAFNOSUPPORT, "fd", []uintptr{unix.AF_X25, unix.SOCK_STREAM, 0}, told{
		File: want{"kind": ""}, Args: want{"domain": "AF_X25", "type": "1", "proto": "0"},
	})
	listener, port := c.bound(unix.SOCK_STREAM)
	bad := want{"kind": ""}
	m := muxed{unix.SYS_LISTEN, 363, 4}
	c.sock(event.Listen, m, nil, "res", []uintptr{listener, 5}, told{
		File: want{"kind": "4", "l4": "6", "role": "2", "local": here(port), "name": here(port)}, Args: want{"fd": "<4t>" + here(port), "backlog": "5"},
	})
	c.sock(event.Listen, m, unix.EBADF, "res", []uintptr{999, 1}, told{File: bad, Args: want{"fd": "999", "backlog": "1"}})

	accept := func(typ event.Type, m muxed, flags ...uintptr) uintptr {
		client := c.socket(unix.AF_INET, unix.SOCK_STREAM)
		addr := c.put(inet4(port))
		before := c.compat
		c.made(event.Connect, unix.SYS_CONNECT, 362, nil, "res", []uintptr{client, addr, 16}, told{
			File: want{"kind": "4", "l4": "6", "role": "1", "remote": here(port), "connected": "true"},
			Args: want{"tuple": "*", "fd": "*", "addr": here(port)},
		})
		tuple := here(portOf(client)) + "->" + here(port)
		w := want{"fd": "<4t>" + tuple, "tuple": tuple, "queuepct": "0", "queuelen": "0", "queuemax": "5"}
		bad := want{"tuple": "", "queuepct": "0", "queuelen": "0", "queuemax": "0"}
		if len(flags) > 0 {
			w["flags"], bad["flags"] = num(flags[0]), num(flags[0])
		}
		fd := c.sock(typ, m, nil, "fd", append([]uintptr{listener, 0, 0}, flags...), told{
			Args: w,
			File: want{"kind": "4", "role": "2", "local": here(port), "remote": here(portOf(client)), "name": tuple, "connected": "true"},
		})
		c.sock(typ, m, unix.EBADF, "fd", append([]uintptr{999, 0, 0}, flags...), told{Args: bad, File: want{"kind": ""}})
		c.compat = before
		c.stream(client, uintptr(fd), port)
		return uintptr(fd)
	}
	accept(event.Accept4, muxed{unix.SYS_ACCEPT4, 364, 18}, unix.SOCK_CLOEXEC)
	accept(event.Accept, muxed{unix.SYS_ACCEPT, no, 5})
	c.connects()
	c.datagrams()
	c.several()
}

// stream sends over a connection and takes it at the other end.
func (c *caller) stream(client, server uintptr, port int) {
	if c.compat && server == ^uintptr(0) {
		return
	}
	out := here(portOf(client)) + "->" + here(port)
	long := strings.Repeat("0123456789", 10)
	c.sock(event.Sendto, muxed{unix.SYS_SENDTO, 369, 11}, nil, "res", []uintptr{client, c.str(long), 100, 0, 0, 0}, told{
		File: want{"kind": "4", "role": "1", "name": out, "data": long[:80], "renamed": "false"},
		Args: want{"data": long[:80], "fd": "<4t>" + out, "size": "100", "tuple": out},
	})
	c.sock(event.Recvfrom, muxed{unix.SYS_RECVFROM, 371, 12}, nil, "res", []uintptr{server, c.put(make([]byte, 200)), 200, 0, 0, 0}, told{
		File: want{"kind": "4", "role": "2", "name": out},
		Args: want{"data": long[:80], "fd": "<4t>" + out, "size": "200", "tuple": out},
	})
	pieces := c.pointers(c.str("one\n"), 4, c.str("two"), 3)
	message := c.pointers(0, 0, pieces, 2, 0, 0, 0)
	c.sock(event.Sendmsg, muxed{unix.SYS_SENDMSG, 370, 16}, nil, "res", []uintptr{client, message, 0}, told{
		File: want{"kind": "4", "name": out, "data": "one\ntwo"}, Args: want{"data": "one.two", "fd": "<4t>" + out, "size": "7", "tuple": out},
	})
	pieces = c.pointers(c.put(make([]byte, 2)), 2, c.put(make([]byte, 50)), 50)
	message = c.pointers(0, 0, pieces, 2, 0, 0, 0)
	c.sock(event.Recvmsg, muxed{unix.SYS_RECVMSG, 372, 17}, nil, "res", []uintptr{server, message, 0}, told{
		File: want{"kind": "4", "name": out, "role": "2"},
		Args: want{"size": "7", "data": "one.two", "fd": "<4t>" + out, "tuple": out, "msgcontrol": ""},
	})
	if c.compat { // send and recv are calls of socketcall alone
		c.made(event.Sendto, no, 102, nil, "res", []uintptr{9, c.words([]uintptr{client, c.str("by send"), 7, 0})}, told{
			File: want{"kind": "4", "name": out}, Args: want{"data": "by send", "fd": "<4t>" + out, "size": "7", "tuple": out},
		})
		c.made(event.Recvfrom, no, 102, nil, "res", []uintptr{10, c.words([]uintptr{server, c.put(make([]byte, 9)), 9, 0})}, told{
			File: want{"kind": "4", "name": out}, Args: want{"data": "by send", "fd": "<4t>" + out, "size": "9", "tuple": out},
		})
	}
	c.dups(client, out)
}

func (c *caller) connects() {
	fd := c.socket(unix.AF_INET, unix.SOCK_STREAM)
	c.sock(event.Connect, muxed{unix.SYS_CONNECT, 362, 3}, unix.ECONNREFUSED, "res", []uintptr{fd, c.put(inet4(1)), 16}, told{
		File: want{"kind": "4", "role": "1", "remote": here(1), "connected": "false"}, Args: want{"tuple": "*", "fd": "*", "addr": here(1)},
	})
	c.sock(event.Connect, muxed{unix.SYS_CONNECT, 362, 3}, unix.EBADF, "res", []uintptr{999, c.put(inet4(2)), 16}, told{
		File: want{"kind": "4", "num": "999", "remote": here(2)}, Args: want{"tuple": "*", "fd": "*", "addr": here(2)},
	})
}

// datagrams have no connection: the first one says which end a socket is.
func (c *caller) datagrams() {
	server, port := c.bound(unix.SOCK_DGRAM)
	client, from := c.bound(unix.SOCK_DGRAM)
	to := c.put(inet4(port))
	out := here(from) + "->" + here(port)
	m := muxed{unix.SYS_SENDTO, 369, 11}
	send := func(text, renamed string) {
		c.made(event.Sendto, m.nr64, m.nr32, nil, "res", []uintptr{client, c.str(text), uintptr(len(text)), 0, to, 16}, told{
			File: want{"kind": "4", "l4": "17", "role": "1", "name": out, "remote": here(port), "connected": "false", "renamed": renamed, "data": text},
			Args: want{"data": text, "fd": "<4u>" + out, "size": num(len(text)), "tuple": out},
		})
	}
	send("first", "true")
	send("again", "false")
	c.sock(event.Sendto, m, unix.EBADF, "res", []uintptr{999, c.str("lost"), 4, 0, to, 16}, told{
		File: want{"kind": "4", "num": "999", "remote": here(port), "data": "lost"}, Args: want{"data": "lost", "fd": "*", "size": "4", "tuple": "*"},
	})

	length := c.put([]byte{16, 0, 0, 0})
	c.made(event.Recvfrom, unix.SYS_RECVFROM, 371, nil, "res", []uintptr{server, c.put(make([]byte, 9)), 9, 0, c.put(make([]byte, 16)), length}, told{
		File: want{"kind": "4", "role": "2", "name": out, "local": here(port), "remote": here(from), "renamed": "true", "data": "first"},
		Args: want{"data": "first", "fd": "<4u>" + out, "size": "9", "tuple": out},
	})
	message := c.pointers(c.put(make([]byte, 16)), 16, c.pointers(c.put(make([]byte, 9)), 9), 1, 0, 0, 0)
	c.made(event.Recvmsg, unix.SYS_RECVMSG, 372, nil, "res", []uintptr{server, message, 0}, told{
		File: want{"kind": "4", "role": "2", "name": out, "renamed": "false", "data": "again"},
		Args: want{"data": "again", "fd": "<4u>" + out, "size": "5", "tuple": out, "msgcontrol": ""},
	})
	message = c.pointers(c.put(inet4(port+1)), 16, c.pointers(c.str("aside"), 5), 1, 0, 0, 0)
	aside := here(from) + "->" + here(port+1)
	c.made(event.Sendmsg, unix.SYS_SENDMSG, 370, nil, "res", []uintptr{client, message, 0}, told{
		File: want{"kind": "4", "role": "1", "name": aside, "renamed": "true"},
		Args: want{"data": "aside", "fd": "<4u>" + aside, "size": "5", "tuple": aside},
	})
	none := told{File: want{"kind": ""}}
	none.Args = want{"data": "", "fd": "999", "size": "5", "tuple": ""}
	c.sock(event.Recvfrom, muxed{unix.SYS_RECVFROM, 371, 12}, unix.EBADF, "res", []uintptr{999, c.put(make([]byte, 9)), 5, 0, 0, 0}, none)
	none.Args = want{"data": "", "fd": "999", "size": "0", "tuple": "", "msgcontrol": ""}
	c.sock(event.Recvmsg, muxed{unix.SYS_RECVMSG, 372, 17}, unix.EBADF, "res", []uintptr{999, message, 0}, none)
	c.sock(event.Sendmsg, muxed{unix.SYS_SENDMSG, 370, 16}, unix.EBADF, "res", []uintptr{999, message, 0}, told{
		File: want{"kind": "4", "remote": here(port + 1)}, Args: want{"data": "aside", "fd": "*", "size": "5", "tuple": "*"},
	})
}

// dups are of a socket, as a reverse shell makes them, and of a file.
func (c *caller) dups(sock uintptr, tuple string) {
	of := want{"kind": "4", "name": tuple, "role": "1", "l4": "6"}
	text := "<4t>" + tuple
	c.made(event.Dup, unix.SYS_DUP, 41, nil, "res", []uintptr{sock}, told{File: of, Args: want{"res": text, "oldfd": num(sock)}})
	c.made(event.Dup2, unix.SYS_DUP2, 63, nil, "res", []uintptr{sock, 200}, told{File: of, Args: want{"res": text, "oldfd": num(sock), "newfd": "200"}})
	c.made(event.Dup3, unix.SYS_DUP3, 330, nil, "res", []uintptr{sock, 201, unix.O_CLOEXEC}, told{
		File: of,
		Args: want{"res": text, "oldfd": num(sock), "newfd": "201", "flags": "O_CLOEXEC"},
	})
	c.touch("f")
	file := c.open(c.in("f"), unix.O_RDONLY)
	c.made(event.Dup, unix.SYS_DUP, 41, nil, "res", []uintptr{file}, told{
		File: want{"kind": "f", "name": c.in("f"), "realpath": c.in("f")},
		Args: want{"res": "<f>" + c.in("f"), "oldfd": num(file)},
	})
	bad := want{"kind": ""}
	c.made(event.Dup, unix.SYS_DUP, 41, unix.EBADF, "res", []uintptr{999}, told{File: bad, Args: want{"oldfd": "999"}})
	c.made(event.Dup2, unix.SYS_DUP2, 63, unix.EBADF, "res", []uintptr{999, 3}, told{File: bad, Args: want{"oldfd": "999", "newfd": "3"}})
	c.made(event.Dup3, unix.SYS_DUP3, 330, unix.EINVAL, "res", []uintptr{file, file, 0}, told{File: bad, Args: want{"oldfd": num(file), "newfd": num(file), "flags": "O_NONE"}})
}

// messagesSeen is how many messages of one call are told.
const messagesSeen = 32

// several moves more messages than are told by one call.
func (c *caller) several() {
	server, port := c.bound(unix.SOCK_DGRAM)
	client, from := c.bound(unix.SOCK_DGRAM)
	out := here(from) + "->" + here(port)
	const count = messagesSeen + 1
	text := func(i int) string { return fmt.Sprintf("m%0*d", 1+i%3, i) }
	messages := func(put func(i int) (name, piece, length uintptr)) uintptr {
		var all []uintptr
		for i := range count {
			name, piece, length := put(i)
			size := uintptr(0)
			if name != 0 {
				size = 16
			}
			// Behind the message's own structure stands how much was moved.
			all = append(all, name, size, c.pointers(piece, length), 1, 0, 0, 0, 0)
		}
		return c.pointers(all...)
	}
	to := c.put(inet4(port))
	send := messages(func(i int) (uintptr, uintptr, uintptr) { return to, c.str(text(i)), uintptr(len(text(i))) })
	receive := messages(func(int) (uintptr, uintptr, uintptr) { return c.put(make([]byte, 16)), c.put(make([]byte, 20)), 20 })
	made := func(typ event.Type, nr64, nr32 int, role, more string, args ...uintptr) {
		if ret := c.call(nr64, nr32, args...); ret != count {
			must(typ.String(), unix.Errno(-ret), nil)
		}
		for i := range messagesSeen {
			w := told{
				File: want{"kind": "4", "l4": "17", "role": role, "name": out, "data": text(i)},
				Args: want{"fd": "<4u>" + out, "size": num(len(text(i))), "data": text(i), "tuple": out},
			}
			if more != "" {
				w.Args[more] = ""
			}
			c.tell(typ, int64(len(text(i))), "res", w)
		}
	}
	made(event.Sendmmsg, unix.SYS_SENDMMSG, 345, "1", "", client, send, count, 0)
	made(event.Recvmmsg, unix.SYS_RECVMMSG, 337, "2", "msgcontrol", server, receive, count, 0, 0)
	if c.compat {
		made(event.Sendmmsg, no, 102, "1", "", 20, c.words([]uintptr{client, send, count, 0}))
		made(event.Recvmmsg, no, 417, "2", "msgcontrol", server, receive, count, 0, 0)
	}
	c.sock(event.Sendmmsg, muxed{unix.SYS_SENDMMSG, 345, 20}, unix.EBADF, "res", []uintptr{999, send, count, 0}, told{
		File: want{"kind": "4", "remote": here(port), "data": text(0)}, Args: want{"fd": "*", "size": num(len(text(0))), "data": text(0), "tuple": "*"},
	})
	c.sock(event.Recvmmsg, muxed{unix.SYS_RECVMMSG, 337, 19}, unix.EBADF, "res", []uintptr{999, receive, count, 0, 0}, told{
		File: want{"kind": ""}, Args: want{"fd": "999", "size": "0", "data": "", "tuple": "", "msgcontrol": ""},
	})
}
