package ingest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
)

func TestWhoseReadersMaySee(t *testing.T) {
	for _, c := range []struct {
		alert string
		t     action.Target
		want  string
	}{
		{"shop", action.Target{Kind: action.KindContainer}, "shop"},
		{"shop", action.Target{Kind: action.KindProcess}, "shop"},
		{"shop", action.Target{Kind: action.KindPod, Namespace: "shop"}, "shop"},
		{"shop", action.Target{Kind: action.KindNode, Name: "n1"}, ""},
		{"shop", action.Target{Kind: action.KindObject, Namespace: "bank"}, ""},
		{"", action.Target{Kind: action.KindContainer}, ""},
		{"", action.Target{Kind: action.KindPod, Namespace: "shop"}, ""},
	} {
		require.Equal(t, c.want, seenIn(c.alert, c.t), "%+v", c)
	}
}
