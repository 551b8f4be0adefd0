package kube

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/playbook"
)

func TestDirectory(t *testing.T) {
	now := time.Unix(0, 0)
	d := newDirectory(10*time.Minute, 3, func() time.Time { return now })
	pod := func(uid string) *playbook.Pod { return &playbook.Pod{UID: uid} }
	sizes := func(pods, remembered int, early uint64) {
		t.Helper()
		p, r, e := d.size()
		require.Equal(t, []any{pods, remembered, early}, []any{p, r, e}, "pods, remembered, forgotten early")
	}

	d.set(pod("a"), time.Time{})
	d.set(pod("b"), time.Time{})
	sizes(2, 0, 0)
	d.remove(pod("a"))
	d.remove(pod("a"))
	d.remove(pod("never seen alive"))
	sizes(1, 2, 0)

	now = now.Add(10*time.Minute - time.Nanosecond)
	require.NotNil(t, d.find("a"))
	require.NotNil(t, d.find("never seen alive"))
	now = now.Add(time.Nanosecond)
	require.Nil(t, d.find("a"))
	require.NotNil(t, d.find("b"), "one that exists has no age")
	sizes(1, 0, 0)

	for i := range 5 {
		d.remove(pod(strconv.Itoa(i)))
	}
	sizes(1, 3, 2)
	require.Nil(t, d.find("1"), "the first deleted goes first")
	require.NotNil(t, d.find("2"))

	d.set(pod("2"), time.Time{}) // a list that was older than the news of the deletion
	now = now.Add(time.Hour)
	require.NotNil(t, d.find("2"))
	sizes(2, 0, 2)
	require.Empty(t, d.order)
}

func BenchmarkDirectoryFind(b *testing.B) {
	d := newDirectory(rememberFor, rememberMax, time.Now)
	for i := range 20_000 {
		d.set(&playbook.Pod{UID: strconv.Itoa(i)}, time.Time{})
	}
	for b.Loop() {
		if d.find("12345") == nil {
			b.Fatal("lost")
		}
	}
}
