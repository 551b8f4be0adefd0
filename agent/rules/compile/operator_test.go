package compile_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOperators(t *testing.T) {
	open, connect := aShell(), aConnect()
	for _, tc := range []struct {
		condition string
		want      bool
	}{
		// text
		{"proc.name = sh", true},
		{"proc.name == sh", true},
		{"proc.name = Sh", false},
		{"proc.name != sh", false},
		{"proc.name != zsh", true},
		{"proc.name in (bash, sh)", true},
		{"proc.name in (a, b, c, d, e, sh)", true},
		{"proc.name in (a, b, c, d, e)", false},
		{"proc.name in ()", false},
		{"proc.name intersects (sh, x)", true},
		{"proc.cmdline contains Cat", true},
		{"proc.cmdline contains cat", false},
		{"proc.cmdline icontains CAT", true},
		{"proc.cmdline icontains dog", false},
		{"proc.cmdline = 'sh -c Cat /etc/shadow'", true},
		{"proc.args = '-c Cat /etc/shadow'", true},
		{"fd.name startswith /etc/", true},
		{"fd.name startswith etc", false},
		{"fd.name endswith ow", true},
		{"fd.name endswith x", false},
		{"fd.name glob '/*/sh?dow'", true},
		{"fd.name glob '/etc*'", true},
		{"fd.name glob '/etc'", false},
		{"fd.name glob '/etc/[!a-r]hadow'", true},
		{"fd.name iglob '/ETC/SH[A-B]DOW'", true},
		{"fd.name glob '/ETC/*'", false},
		{"fd.name regex '/etc/(shadow|passwd)'", true},
		{"fd.name regex 'shadow'", false},
		{"fd.name regex '/etc/shado'", false},
		{"fd.name regex '/etc.*'", true},
		{"fd.name pmatch (/var, /etc)", true},
		{"fd.name pmatch (/etc/shadow)", true},
		{"fd.name pmatch (/etc/sha)", false},
		{"fd.name pmatch (/e*)", true},
		{"fd.name pmatch (/etc/shadow/x)", false},
		{"fd.name pmatch (/)", true},
		{"fd.name pmatch (/etc/)", true},
		{"fd.name > 1", false},
		{"proc.name > 1", true},
		{"fd.name < 5", true},
		{"fd.name startswith anyof (/usr, /etc)", true},
		{"fd.name startswith oneof (/etc, /e)", false},
		{"fd.name startswith oneof (/etc, /x)", true},
		{"fd.name startswith allof (/etc, /e)", true},
		{"fd.name startswith allof (/etc, /x)", false},
		{"proc.name != allof (bash, zsh)", true},
		{"proc.name != allof (bash, sh)", false},
		// numbers
		{"fd.num = 3", true},
		{"fd.num = 0x3", true},
		{"fd.num >= 3", true},
		{"fd.num > 3", false},
		{"fd.num < 4", true},
		{"fd.num <= 2", false},
		{"fd.num != 3", false},
		{"fd.num in (1, 3)", true},
		{"fd.num = -1", false},
		{"proc.tty != 0", true},
		{"user.loginuid = -1", true},
		{"user.uid = 0", true},
		{"user.uid = -1", false},
		{"proc.duration = 4000", true},
		{"proc.duration < 1000", false},
		{"evt.rawres >= 0", true},
		{"evt.cpu = 0", true},
		// bool
		{"evt.is_open_read = true", true},
		{"evt.is_open_write = true", false},
		{"evt.is_open_write = false", true},
		{"evt.is_open_write != true", true},
		{"proc.is_exe_upper_layer in (true)", false},
		// several values
		{"proc.aname = nginx", true},
		{"proc.aname = containerd-shim", true},
		{"proc.aname = sh", false},
		{"proc.aname[0] = sh", true},
		{"proc.aname[1] = nginx", true},
		{"proc.aname[2] startswith containerd", true},
		{"proc.aname[3] = x", false},
		{"proc.aname[3] exists", false},
		{"proc.aname exists", true},
		{"proc.aname in (nginx)", true},
		// parameters
		{"evt.arg.flags contains O_CLOEXEC", true},
		{"evt.arg[0] = 3", true},
		{"evt.arg.fd = 3", true},
		{"evt.arg.uid exists", false},
		{"evt.res = SUCCESS", true},
		// container
		{"container.id = 0123456789ab", true},
		{"k8s.ns.name = shop", true},
		{"k8s.pod.label[app] = cart", true},
		{"k8s.pod.label[x] exists", false},
		{"container.image.repository endswith /cart", true},
		// NULL is false whatever the operator
		{"user.name = root", false},
		{"user.name != root", false},
		{"not user.name = root", true},
		{"not user.name != root", true},
		{"user.name exists", false},
		{"fd.sip = 1.2.3.4", false},
		{"fd.sip != 1.2.3.4", false},
		{"not fd.net in ('10.0.0.0/8')", true},
		{"fd.ip != 1.2.3.4", false},
		{"fd.port != 3", false},
		// transformers and fields on both sides
		{"tolower(proc.args) contains cat", true},
		{"toupper(proc.name) = SH", true},
		{"basename(proc.exepath) = busybox", true},
		{"len(proc.name) = 2", true},
		{"concat(proc.name, '-', proc.pname) = sh-nginx", true},
		{"join(',', (proc.name, 'x')) = 'sh,x'", true},
		{"b64(proc.name) = x", false},
		{"fd.nameraw = val(fd.name)", false},
		{"fd.realpath = val(fd.name)", true},
		{"proc.name = basename(proc.exe)", true},
		{"fd.name endswith val(user.name)", false},
		{"proc.pid > val(proc.ppid)", true},
		{"proc.exe endswith val(proc.name)", true},
		// logic
		{"proc.name = x or proc.name = sh and not fd.num = 4", true},
		{"not (proc.name = sh and fd.num = 3)", false},
		{"proc.name = a or proc.name = b or proc.name = c or proc.name = sh", true},
		{"fd.num = 3 and fd.num > 0 and fd.num < 9 and fd.num != 4", true},
		{"evt.num = 0", false},
		{"evt.num > 0", true},
		{"evt.num >= 0", true},
		{"evt.num = 7", true},
		{"evt.dir = <", true},
		{"evt.dir = >", false},
		{"evt.type = openat", true},
		{"evt.type in (open, openat)", true},
		{"evt.type != openat", false},
		{"evt.type startswith open", true},
		{"evt.type = ptrace", false},
	} {
		require.Equal(t, tc.want, program(t, tc.condition).Match(open), tc.condition)
	}
	for condition, want := range map[string]bool{
		"fd.ip = 93.184.216.34": true, "fd.ip = 10.0.0.5": true, "fd.ip = 1.1.1.1": false, "fd.ip != 93.184.216.34": false, "fd.ip != 1.1.1.1": true,
		"fd.sip = 93.184.216.34": true, "fd.cip = 10.0.0.5": true, "fd.lip = 10.0.0.5": true, "fd.rip in (93.184.216.34)": true,
		"fd.net in ('93.184.0.0/16')": true, "fd.net = '10.0.0.0/8'": true, "fd.net != '10.0.0.0/8'": false, "fd.net != '127.0.0.0/8'": true,
		"fd.snet in ('10.0.0.0/8', '93.0.0.0/8')": true, "fd.snet = '10.0.0.0/8'": false, "fd.sip != '::1'": true, "fd.sip = '::1'": false,
		"fd.sport = 443": true, "fd.sport = https": true, "fd.port in (443, 80)": true, "fd.port = 40000": true, "fd.port != 443": false, "fd.port != 22": true, "fd.sport >= 1024": false,
		"fd.l4proto = tcp": true, "fd.typechar = 4": true, "fd.sockfamily = ip": true, "fd.type = ipv4": true, "fd.connected = true": true, "fd.is_server = false": true,
		"fd.directory exists": false, "fd.filename exists": false,
	} {
		require.Equal(t, want, program(t, condition).Match(connect), condition)
	}
}

func TestBytesThatAreNotText(t *testing.T) {
	e := aShell()
	e.File.Name = "/tmp/\xff\xfeA"
	for condition, want := range map[string]bool{
		"fd.name regex '/tmp/.*A'": true, `fd.name contains "\xff\xfe"`: true, "fd.name glob '/tmp/??A'": true, `fd.name endswith "\xfeA"`: true,
	} {
		require.Equal(t, want, program(t, condition).Match(e), condition)
	}
}
