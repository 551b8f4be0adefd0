package contain_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// childRole makes the test program the process in a container's network ("net"), or
// an agent (its setup).
const childRole = "RIPOSTE_CONTAIN_TEST_CHILD"

// The two ends of the container's cable.
const (
	hostAddr, boxAddr = "169.254.77.1", "169.254.77.2"
	udpPort           = 7771
)

// netChild does what it reads, one command a line, and answers each with a line.
func netChild() {
	in, packet := bufio.NewScanner(os.Stdin), -1
	var conn net.Conn
	for in.Scan() {
		var err error
		switch cmd, arg, _ := strings.Cut(in.Text(), " "); cmd {
		case "packet": // opens a packet socket
			packet, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
			if err == nil && arg == "bypass" {
				err = unix.SetsockoptInt(packet, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
			}
		case "frame": // sends by it
			err = sendFrame(packet, arg)
		case "udp":
			err = sendUDP(hostAddr, arg)
		case "raw":
			err = sendRaw(arg)
		case "loop":
			err = sendUDP("127.0.0.1", arg)
		case "dial":
			conn, err = net.DialTimeout("tcp", arg, 5*time.Second)
		case "write":
			_, err = conn.Write([]byte(arg))
		default:
			err = fmt.Errorf("what is %q", cmd)
		}
		if err != nil {
			fmt.Println("error: " + err.Error())
			continue
		}
		fmt.Println("ok")
	}
}

func sendUDP(to, text string) error {
	c, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.ParseIP(to), Port: udpPort})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(text))
	return err
}

// datagram is a UDP packet to the host's end, from its IP header on.
func datagram(text string) []byte {
	b := make([]byte, 28, 28+len(text))
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(text)))
	copy(b[12:], net.ParseIP(boxAddr).To4())
	copy(b[16:], net.ParseIP(hostAddr).To4())
	sum := uint32(0)
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(b[20:], 5555)
	binary.BigEndian.PutUint16(b[22:], udpPort)
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(text)))
	return append(b, text...)
}

// sendFrame sends an Ethernet frame; arg is the host's hardware address and a text.
func sendFrame(fd int, arg string) error {
	to, text, _ := strings.Cut(arg, " ")
	hw, err := net.ParseMAC(to)
	if err != nil {
		return err
	}
	dev, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	frame := append(append(append([]byte{}, hw...), dev.HardwareAddr...), 0x08, 0x00)
	return unix.Sendto(fd, append(frame, datagram(text)...), 0, &unix.SockaddrLinklayer{Ifindex: dev.Index, Halen: 6})
}

// sendRaw sends by a raw socket that writes its own IP header.
func sendRaw(text string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, datagram(text), 0, &unix.SockaddrInet4{Addr: [4]byte(net.ParseIP(hostAddr).To4())})
}

// network is a container with a network namespace of its own on a cable to the host,
// and what arrives at the host's end.
type network struct {
	*sandbox
	t        *testing.T
	host     string
	stdin    *os.File
	answers  *bufio.Scanner
	arrived  chan string
	listener *net.UDPConn
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(t, err, "ip %s: %s", strings.Join(args, " "), out)
}

func newNetwork(t *testing.T, own bool) *network {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs iproute2")
		}
		t.Skip("needs iproute2")
	}
	w := &network{sandbox: newSandbox(t, "net", 0), t: t, host: fmt.Sprintf("rip%d", os.Getpid()%100000)}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), childRole+"=net")
	if own {
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	}
	stdin, err := c.StdinPipe()
	require.NoError(t, err)
	w.stdin = stdin.(*os.File)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	c.Stderr = os.Stderr
	w.answers = bufio.NewScanner(out)
	require.NoError(t, c.Start())
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	w.pid = []int{c.Process.Pid}
	require.NoError(t, os.WriteFile(w.dir+"/cgroup.procs", fmt.Appendf(nil, "%d", c.Process.Pid), 0))
	if !own {
		return w
	}
	pid := strconv.Itoa(c.Process.Pid)
	ip(t, "link", "add", w.host, "type", "veth", "peer", "name", "eth0", "netns", pid)
	t.Cleanup(func() { exec.Command("ip", "link", "del", w.host).Run() })
	ip(t, "addr", "add", hostAddr+"/30", "dev", w.host)
	ip(t, "link", "set", w.host, "up")
	for _, args := range [][]string{{"addr", "add", boxAddr + "/30", "dev", "eth0"}, {"link", "set", "eth0", "up"}, {"link", "set", "lo", "up"}} {
		out, err := exec.Command("nsenter", append([]string{"-t", pid, "-n", "ip"}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	w.listener, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(hostAddr), Port: udpPort})
	require.NoError(t, err)
	w.arrived = make(chan string, 100)
	read := make(chan struct{})
	go func() {
		defer close(read)
		b := make([]byte, 1500)
		for {
			n, err := w.listener.Read(b)
			if err != nil {
				return
			}
			w.arrived <- string(b[:n])
		}
	}()
	t.Cleanup(func() { w.listener.Close(); <-read })
	return w
}

// do has the child do something and returns its answer.
func (w *network) do(format string, args ...any) string {
	w.t.Helper()
	_, err := fmt.Fprintf(w.stdin, format+"\n", args...)
	require.NoError(w.t, err)
	require.True(w.t, w.answers.Scan(), "the child is gone")
	return w.answers.Text()
}

// frame sends a text by the packet socket.
func (w *network) frame(text string) string {
	w.t.Helper()
	dev, err := net.InterfaceByName(w.host)
	require.NoError(w.t, err)
	return w.do("frame %s %s", dev.HardwareAddr, text)
}

// ways are all the ways out that the child knows.
var ways = map[string]func(w *network, text string) string{
	"udp":    func(w *network, text string) string { return w.do("udp %s", text) },
	"raw":    func(w *network, text string) string { return w.do("raw %s", text) },
	"packet": (*network).frame,
}

// next is what arrives next.
func (w *network) next() string {
	w.t.Helper()
	select {
	case text := <-w.arrived:
		return text
	case <-time.After(10 * time.Second):
		w.t.Fatal("nothing arrived within 10 s")
		return ""
	}
}
