package field

import (
	"net/netip"
	"strconv"
	"strings"

	"riposte/agent/event"
)

var fdFields = []Field{
	{Name: "fd.num", Type: Int, Scope: Event, Desc: "descriptor, -1 for a failed open", get: ofFile(func(_ *event.Event, f *event.File) Value { return number(f.Num) })},
	{Name: "fd.type", Type: Text, Scope: File, Desc: "kind of the object, as a word", get: ofFile(func(_ *event.Event, f *event.File) Value { return text(kindName(f.Kind)) })},
	{Name: "fd.typechar", Type: Text, Scope: File, Desc: "kind of the object, as a letter", get: ofFile(func(_ *event.Event, f *event.File) Value { return text(kindChar(f.Kind)) })},
	{Name: "fd.name", Type: Text, Scope: File, Desc: "path, or client->server for a socket", get: ofFile(func(e *event.Event, _ *event.File) Value { return text(e.Name()) })},
	{Name: "fd.nameraw", Type: Text, Scope: File, Desc: "path as it was passed", get: ofFile(func(_ *event.Event, f *event.File) Value { return text(f.NameRaw) })},
	{Name: "fd.directory", Type: Text, Scope: File, Desc: "directory of the path", get: ofFile(directory)},
	{Name: "fd.filename", Type: Text, Scope: File, Desc: "last part of the path", get: ofFile(fileName)},
	{Name: "fd.containername", Type: Text, Scope: File, Desc: "container id and name", get: ofFile(func(e *event.Event, _ *event.File) Value {
		if e.Proc == nil || e.Proc.Container == nil {
			return Value{}
		}
		return text(e.Proc.Container.ShortID() + ":" + e.Name())
	})},
	{Name: "fd.containerdirectory", Type: Text, Scope: File, Desc: "container id and directory", get: ofFile(func(e *event.Event, f *event.File) Value {
		d := directory(e, f)
		if !d.OK || e.Proc == nil || e.Proc.Container == nil {
			return Value{}
		}
		return text(e.Proc.Container.ShortID() + ":" + d.Text)
	})},
	{Name: "fd.dev", Type: Int, Scope: File, Desc: "device of the file", get: ofFile(func(_ *event.Event, f *event.File) Value { return number(f.Dev) })},
	{Name: "fd.dev.major", Type: Int, Scope: File, Desc: "major number of the device", get: ofFile(func(_ *event.Event, f *event.File) Value { return number(f.Dev >> 8 & 0xfff) })},
	{Name: "fd.dev.minor", Type: Int, Scope: File, Desc: "minor number of the device", get: ofFile(func(_ *event.Event, f *event.File) Value { return number(f.Dev&0xff | f.Dev>>12&0xfff00) })},
	{Name: "fd.ino", Type: Int, Scope: File, Desc: "inode of the file", get: ofFile(func(_ *event.Event, f *event.File) Value { return number(f.Ino) })},
	{Name: "fd.is_upper_layer", Type: Bool, Scope: File, Desc: "the file came into the container after its start", get: ofFile(func(_ *event.Event, f *event.File) Value { return truth(f.UpperLayer) })},
	{Name: "fd.is_lower_layer", Type: Bool, Scope: File, Desc: "the file is the image's", get: ofFile(func(_ *event.Event, f *event.File) Value { return truth(f.LowerLayer) })},
	{Name: "fd.uid", Type: Text, Scope: Event, Desc: "thread id and descriptor", get: ofFile(func(e *event.Event, f *event.File) Value {
		return text(strconv.Itoa(int(e.Task.TID)) + strconv.FormatInt(f.Num, 10))
	})},
	{Name: "fd.types", Type: Texts, Flags: Replayed, Arg: OptionalIndex, NoRight: true, Scope: Event, Desc: "kinds of all descriptors, each once, or of one", get: fdTypes},

	{Name: "fd.ip", Flags: Filter, Type: IP, Many: EitherEnd, NoRight: true, NoTransform: true, Scope: File, Desc: "either address of a socket", get: bothEnds(addrOf)},
	{Name: "fd.cip", Type: IP, Scope: File, Desc: "address of the client", get: ofFile(client(addrOf))},
	{Name: "fd.sip", Type: IP, Scope: File, Desc: "address of the server", get: ofFile(server(addrOf))},
	{Name: "fd.lip", Type: IP, Scope: File, Desc: "address of this side", get: ofFile(local(addrOf))},
	{Name: "fd.rip", Type: IP, Scope: File, Desc: "address of the other side", get: ofFile(remote(addrOf))},
	{Name: "fd.port", Flags: Filter, Type: Port, Many: EitherEnd, NoRight: true, NoTransform: true, Scope: File, Desc: "either port of a socket", get: bothEnds(portOf)},
	{Name: "fd.cport", Type: Port, Scope: File, Desc: "port of the client", get: ofFile(client(portOf))},
	{Name: "fd.sport", Type: Port, Scope: File, Desc: "port of the server", get: ofFile(server(portOf))},
	{Name: "fd.lport", Type: Port, Scope: File, Desc: "port of this side", get: ofFile(local(portOf))},
	{Name: "fd.rport", Type: Port, Scope: File, Desc: "port of the other side", get: ofFile(remote(portOf))},
	{Name: "fd.net", Flags: Filter, Type: Net, Many: EitherEnd, NoRight: true, NoTransform: true, Scope: File, Desc: "network of either address", get: bothEnds(addrOf)},
	{Name: "fd.cnet", Flags: Filter, Type: Net, NoRight: true, NoTransform: true, Scope: File, Desc: "network of the client", get: ofFile(client(addrOf))},
	{Name: "fd.snet", Flags: Filter, Type: Net, NoRight: true, NoTransform: true, Scope: File, Desc: "network of the server", get: ofFile(server(addrOf))},
	{Name: "fd.lnet", Flags: Filter, Type: Net, NoRight: true, NoTransform: true, Scope: File, Desc: "network of this side", get: ofFile(local(addrOf))},
	{Name: "fd.rnet", Flags: Filter, Type: Net, NoRight: true, NoTransform: true, Scope: File, Desc: "network of the other side", get: ofFile(remote(addrOf))},
	{Name: "fd.proto", Type: Port, Many: EitherEnd, Flags: Filter, NoRight: true, NoTransform: true, Scope: File, Desc: "either port of a socket, by service name", get: bothEnds(portOf)},
	{Name: "fd.cproto", Type: Text, Scope: File, Desc: "service name of the client's port", get: ofFile(client(serviceOf))},
	{Name: "fd.sproto", Type: Text, Scope: File, Desc: "service name of the server's port", get: ofFile(server(serviceOf))},
	{Name: "fd.lproto", Type: Text, Scope: File, Desc: "service name of this side's port", get: ofFile(local(serviceOf))},
	{Name: "fd.rproto", Type: Text, Scope: File, Desc: "service name of the other side's port", get: ofFile(remote(serviceOf))},
	{Name: "fd.cip.name", Type: Text, Many: Domains, NoRight: true, NoTransform: true, Scope: File, Desc: "domain name of the client, of those that rules ask for", get: namesOf(client(addrOf))},
	{Name: "fd.sip.name", Type: Text, Many: Domains, NoRight: true, NoTransform: true, Scope: File, Desc: "domain name of the server, of those that rules ask for", get: namesOf(server(addrOf))},
	{Name: "fd.lip.name", Type: Text, Many: Domains, NoRight: true, NoTransform: true, Scope: File, Desc: "domain name of this side, of those that rules ask for", get: namesOf(local(addrOf))},
	{Name: "fd.rip.name", Type: Text, Many: Domains, NoRight: true, NoTransform: true, Scope: File, Desc: "domain name of the other side, of those that rules ask for", get: namesOf(remote(addrOf))},
	{Name: "fd.l4proto", Type: Text, Scope: File, Desc: "tcp, udp, icmp or raw", get: ofFile(func(_ *event.Event, f *event.File) Value { return text(l4Name(f)) })},
	{Name: "fd.sockfamily", Type: Text, Scope: File, Desc: "ip or unix", get: ofFile(func(_ *event.Event, f *event.File) Value {
		switch f.Kind {
		case event.KindIPv4, event.KindIPv6:
			return text("ip")
		case event.KindUnix:
			return text("unix")
		}
		return Value{}
	})},
	{Name: "fd.is_server", Type: Bool, Scope: File, Desc: "this side is the server", get: ofFile(func(_ *event.Event, f *event.File) Value {
		return Value{OK: inet(f), Int: truth(f.Socket.Role == event.RoleServer).Int}
	})},
	{Name: "fd.connected", Type: Bool, Scope: Event, Desc: "the socket is connected", get: ofFile(func(e *event.Event, f *event.File) Value {
		return Value{OK: inet(f), Int: truth(f.Socket.Connected || e.Type == event.Connect && e.Ret >= 0 && f.Socket.Remote.IsValid()).Int}
	})},
	{Name: "fd.name_changed", Type: Bool, Scope: Event, Desc: "the event changed the socket's tuple", get: ofFile(func(e *event.Event, f *event.File) Value {
		return Value{OK: inet(f), Int: truth(f.Socket.Renamed || e.Type == event.Connect).Int}
	})},
}

var pathFields = []Field{
	{Name: "fs.path.name", Type: Text, Scope: Event, Desc: "path that the call works on", get: ofEvent(pathName(false))},
	{Name: "fs.path.nameraw", Type: Text, Scope: Event, Desc: "that path as it was passed", get: ofEvent(pathName(true))},
	{Name: "fs.path.source", Type: Text, Scope: Event, Desc: "source of a rename, link or copy", get: ofPair(source, false)},
	{Name: "fs.path.sourceraw", Type: Text, Scope: Event, Desc: "that path as it was passed", get: ofPair(source, true)},
	{Name: "fs.path.target", Type: Text, Scope: Event, Desc: "target of a rename, link or copy", get: ofPair(target, false)},
	{Name: "fs.path.targetraw", Type: Text, Scope: Event, Desc: "that path as it was passed", get: ofPair(target, true)},
}

var fdlistFields = []Field{
	{Name: "fdlist.nums", Type: Text, Scope: Event, Desc: "descriptors of a poll"},
	{Name: "fdlist.names", Type: Text, Scope: Event, Desc: "names of a poll's descriptors"},
	{Name: "fdlist.cips", Type: Text, Scope: Event, Desc: "client addresses of a poll's descriptors"},
	{Name: "fdlist.sips", Type: Text, Scope: Event, Desc: "server addresses of a poll's descriptors"},
	{Name: "fdlist.cports", Type: Text, Scope: Event, Desc: "client ports of a poll's descriptors"},
	{Name: "fdlist.sports", Type: Text, Scope: Event, Desc: "server ports of a poll's descriptors"},
}

var utilFields = []Field{
	{Name: "util.cnt", Type: Uint64, Flags: Table, Desc: "for Falco's tables"},
}

// ownFields are Riposte's, not Falco's.
var ownFields = []Field{
	{Name: "fd.realpath", Type: Text, Scope: File, Desc: "path of the opened file itself, every link resolved", get: ofFile(func(_ *event.Event, f *event.File) Value { return text(f.RealPath) })},
	{Name: "fd.name_differs", Type: Bool, Scope: File, Desc: "fd.name and fd.realpath are not the same", get: ofFile(func(e *event.Event, _ *event.File) Value { return truth(e.NameDiffers()) })},
}

var kinds = map[byte]string{
	event.KindFile: "file", event.KindDirectory: "directory", event.KindIPv4: "ipv4", event.KindIPv6: "ipv6", event.KindUnix: "unix",
	event.KindPipe: "pipe", event.KindMemfd: "memfd", event.KindNetlink: "netlink", event.KindOther: "unknown",
	'e': "event", 's': "signalfd", 'l': "eventpoll", 'i': "inotify", 't': "timerfd", 'b': "bpf", 'r': "io_uring", 'P': "pidfd",
}

func kindName(k byte) string { return kinds[k] }

// letters lets kindChar answer with a part of a constant.
const letters = "fd46upmnelitsbroP"

func kindChar(k byte) string {
	if i := strings.IndexByte(letters, k); i >= 0 {
		return letters[i : i+1]
	}
	return "o"
}

func hasPath(f *event.File) bool { return f.Kind == event.KindFile || f.Kind == event.KindDirectory }

func inet(f *event.File) bool { return f.Kind == event.KindIPv4 || f.Kind == event.KindIPv6 }

// directory of "/x" is "/"; of a directory it is the directory itself.
func directory(e *event.Event, f *event.File) Value {
	name := e.Name()
	if !hasPath(f) || name == "" {
		return Value{}
	}
	if f.Kind == event.KindDirectory {
		return text(name)
	}
	switch i := strings.LastIndexByte(name, '/'); {
	case i < 0:
		return text("/")
	case i == 0:
		return text("/")
	default:
		return text(name[:i])
	}
}

func fileName(e *event.Event, f *event.File) Value {
	if f.Kind != event.KindFile {
		return Value{}
	}
	name := e.Name()
	return text(name[strings.LastIndexByte(name, '/')+1:])
}

func l4Name(f *event.File) string {
	if !inet(f) {
		return ""
	}
	switch f.Socket.L4 {
	case 1, 58:
		return "icmp"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 255:
		return "raw"
	}
	return ""
}

type end = func(netip.AddrPort) Value

func addrOf(a netip.AddrPort) Value { return address(a.Addr()) }

func portOf(a netip.AddrPort) Value { return Value{OK: a.IsValid(), Int: int64(a.Port())} }

func local(get end) func(*event.Event, *event.File) Value {
	return func(_ *event.Event, f *event.File) Value { return get(f.Socket.Local) }
}

func remote(get end) func(*event.Event, *event.File) Value {
	return func(_ *event.Event, f *event.File) Value { return get(f.Socket.Remote) }
}

// namesOf are the domain names of an address one after the other.
func namesOf(get func(*event.Event, *event.File) Value) reader {
	return func(e *event.Event, _ Argument, i int) Value {
		if e.Hosts == nil || !inet(&e.File) {
			return Value{}
		}
		v := get(e, &e.File)
		if !v.OK {
			return Value{}
		}
		if names := e.Hosts(v.Addr); i < len(names) {
			return text(names[i])
		}
		return Value{}
	}
}

// serviceOf is the name of a port's service, or its number.
func serviceOf(a netip.AddrPort) Value {
	if !a.IsValid() {
		return Value{}
	}
	if name, ok := ServiceName(a.Port()); ok {
		return text(name)
	}
	return text(strconv.Itoa(int(a.Port())))
}

// client and server need the socket's role: without one both are NULL.
func client(get end) func(*event.Event, *event.File) Value {
	return func(_ *event.Event, f *event.File) Value {
		switch f.Socket.Role {
		case event.RoleClient:
			return get(f.Socket.Local)
		case event.RoleServer:
			return get(f.Socket.Remote)
		}
		return Value{}
	}
}

func server(get end) func(*event.Event, *event.File) Value {
	return func(_ *event.Event, f *event.File) Value {
		switch f.Socket.Role {
		case event.RoleClient:
			return get(f.Socket.Remote)
		case event.RoleServer:
			return get(f.Socket.Local)
		}
		return Value{}
	}
}

// bothEnds gives the known ends of an internet socket one after the other.
func bothEnds(get end) reader {
	return func(e *event.Event, _ Argument, i int) Value {
		f := &e.File
		if !inet(f) {
			return Value{}
		}
		first, second := f.Socket.Local, f.Socket.Remote
		if !first.IsValid() {
			first, second = second, netip.AddrPort{}
		}
		switch i {
		case 0:
			return get(first)
		case 1:
			return get(second)
		}
		return Value{}
	}
}

// opened reads a path of the calls that open or make a file.
func opened(get func(*event.Event) string) func(*event.Event) Value {
	return func(e *event.Event) Value {
		if !opens(e) && e.Type != event.Creat {
			return Value{}
		}
		return text(get(e))
	}
}
