package scap_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
)

func TestSockets(t *testing.T) {
	both(t, func(t *testing.T, f *file) {
		f.event(50, 19, int64(3), uint32(2), uint32(1), uint32(0))
		f.event(50, 23, int64(-115), inet(2, "10.0.0.1:4000", "93.184.216.34:443"), int64(3))
		f.event(50, 363, int64(0), int64(3), int64(0))
		f.event(50, 19, int64(5), uint32(2), uint32(2), uint32(0))
		f.event(50, 31, int64(4), []byte("ping"), int64(5), uint32(4), inet(2, "0.0.0.0:0", "8.8.8.8:53"))
		f.event(50, 31, int64(4), []byte("ping"), int64(5), uint32(4), inet(2, "0.0.0.0:0", "8.8.8.8:53"))
		f.event(50, 19, int64(6), uint32(10), uint32(1), uint32(6))
		f.event(50, 21, int64(0), inet(10, "[::]:80"), int64(6))
		f.event(50, 389, int64(7), inet(10, "[2001:db8::2]:999", "[2001:db8::1]:80"), uint8(0), uint32(0), uint32(0), int32(0))
		f.event(50, 23, int64(-2), append(append([]byte{1}, make([]byte, 16)...), "/run/x\x00"...), int64(8))
		all := events(t, f)
		require.Len(t, all, 10)

		require.Equal(t, event.KindIPv4, all[0].File.Kind)
		require.Equal(t, "AF_INET", all[0].arg("domain"))
		require.Equal(t, "10.0.0.1:4000->93.184.216.34:443", all[1].File.Name)
		require.Equal(t, event.RoleClient, all[1].File.Socket.Role)
		require.Equal(t, uint8(6), all[1].File.Socket.L4)
		require.Equal(t, "EINPROGRESS", all[1].arg("res"))
		require.Equal(t, all[1].File.Name, all[2].File.Name, "dup2 gives the same socket")
		require.Zero(t, all[2].File.Num)

		require.True(t, all[4].File.Socket.Renamed)
		require.False(t, all[4].File.Socket.Connected)
		require.Equal(t, "0.0.0.0:0->8.8.8.8:53", all[4].File.Name)
		require.False(t, all[5].File.Socket.Renamed)

		require.Equal(t, "2001:db8::2:999->2001:db8::1:80", all[8].File.Name)
		require.Equal(t, event.RoleServer, all[8].File.Socket.Role)
		require.Equal(t, uint16(80), all[8].File.Socket.Local.Port())
		require.Equal(t, event.KindUnix, all[9].File.Kind)
		require.Equal(t, "/run/x", all[9].File.Name)
	})
}

// TestInterfaces has sockets that were never bound: their own address is that of the
// interface which leads to the peer.
func TestInterfaces(t *testing.T) {
	both(t, func(t *testing.T, f *file) {
		f.interfaces("127.0.0.1/8", "10.0.0.5/24", "192.168.7.1/16", "2001:db8::5/64")
		listed := inet(2, "0.0.0.0:555", "192.168.3.3:53")[1:]
		f.descriptors(50, append(append(le(le(le(nil, int64(20)), uint64(9)), uint8(3)), append(append(listed[:4:4], listed[6:10]...), append(listed[4:6:6], listed[10:]...)...)...), 3))
		f.event(50, 19, int64(3), uint32(2), uint32(2), uint32(0))
		for _, peer := range []string{"10.0.0.77:53", "8.8.8.8:53", "127.0.0.9:53"} {
			f.event(50, 31, int64(4), []byte("ping"), int64(3), uint32(4), inet(2, "0.0.0.0:0", peer))
		}
		f.event(50, 19, int64(4), uint32(10), uint32(2), uint32(0))
		f.event(50, 31, int64(4), []byte("ping"), int64(4), uint32(4), inet(10, "[::]:0", "[2001:db8::1]:53"))
		f.event(50, 71, int64(0), int64(20))
		all := events(t, f)
		var local []string
		for _, e := range all {
			local = append(local, e.File.Socket.Local.Addr().String())
		}
		require.Equal(t, []string{"invalid IP", "10.0.0.5", "10.0.0.5", "127.0.0.1", "invalid IP", "2001:db8::5", "192.168.7.1"}, local)
		require.Equal(t, "0.0.0.0:0->8.8.8.8:53", all[2].File.Name)
		require.Equal(t, "192.168.7.1:555->192.168.3.3:53", all[6].File.Name)
	})
}
