package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/audit"
	"riposte/responder/store/storetest"
)

// chainOf is a record as an auditor has it: what an export holds, and a copy of the
// checkpoints that was kept elsewhere.
type chainOf struct {
	rows     []audit.Row
	head     audit.Head
	evidence audit.Evidence
}

// exportedChain writes a chain, signs it now and then, exports it, and reads the
// export by its documented form alone.
func exportedChain(t *testing.T, entries, each int) chainOf {
	s := storetest.New(t)
	key := newKey(t)
	file := &audit.File{Path: filepath.Join(t.TempDir(), "checkpoints.jsonl")}
	signer := audit.NewSigner(audit.SignerOptions{Store: s, Key: key, Places: []audit.Place{file}})
	for range entries / each {
		fill(t, s, "c", each)
		require.NoError(t, signer.Round(t.Context(), true))
	}
	var out bytes.Buffer
	require.NoError(t, audit.Export(t.Context(), s.Pool(), &out, audit.Part{}))
	c := chainOf{evidence: trusting(key)}
	kept, damaged, err := audit.ReadFile(file.Path)
	require.NoError(t, err)
	require.Empty(t, damaged)
	c.evidence.Checkpoints = kept
	for line := range strings.Lines(out.String()) {
		var l struct {
			Head *struct {
				Seq  int64
				Hash audit.Hex
			}
			Entry *struct {
				Cluster, Body string
				Seq           int64
				Prev, Hash    audit.Hex
				Sealed        map[string]struct {
					Salt  audit.Hex
					Value string
				}
			}
		}
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		switch {
		case l.Head != nil:
			c.head = audit.Head{Cluster: "c", Seq: l.Head.Seq, Hash: l.Head.Hash}
		case l.Entry != nil:
			r := audit.Row{Cluster: l.Entry.Cluster, Seq: l.Entry.Seq, Body: []byte(l.Entry.Body), Prev: l.Entry.Prev, Hash: l.Entry.Hash, BodyOnly: true}
			for i, field := range audit.Sealed {
				r.Seals[i] = audit.Seal{Salt: l.Entry.Sealed[field].Salt, Value: l.Entry.Sealed[field].Value}
			}
			c.rows = append(c.rows, r)
		}
	}
	require.Len(t, c.rows, entries)
	return c
}

func (c chainOf) verify(t *testing.T) audit.Chain {
	t.Helper()
	r, err := audit.VerifyRows(each(c.rows, nil), []audit.Head{c.head}, c.evidence)
	require.NoError(t, err)
	require.Len(t, r.Chains, 1)
	return r.Chains[0]
}

// rewrite computes every hash from entry n to the head anew, as whoever owns the
// database can.
func (c *chainOf) rewrite(n int) {
	prev := make([]byte, 32)
	if n > 1 {
		prev = c.rows[n-2].Hash
	}
	for i := n - 1; i < len(c.rows); i++ {
		c.rows[i].Seq, c.rows[i].Prev = int64(i+1), prev
		sum := audit.Sum("c", int64(i+1), audit.Hash(prev), c.rows[i].Body)
		c.rows[i].Hash = sum[:]
		prev = c.rows[i].Hash
	}
	c.head = audit.Head{Cluster: "c", Seq: int64(len(c.rows)), Hash: prev}
}

// tamper changes a copy of a chain at entry n, 2 ≤ n < its length, and returns what
// must be named: the first bad entry, or, of what only a checkpoint can tell, the
// entry that the next checkpoint is about.
var tampers = map[string]func(c *chainOf, n, signed int) int{
	"edited": func(c *chainOf, n, _ int) int {
		c.rows[n-1].Body = bytes.Replace(c.rows[n-1].Body, []byte("shop"), []byte("shoq"), 1)
		return n
	},
	"a sealed value edited": func(c *chainOf, n, _ int) int {
		c.rows[n-1].Seals[0].Value += "!"
		return n
	},
	"removed": func(c *chainOf, n, _ int) int {
		c.rows = slices.Delete(c.rows, n-1, n)
		return n
	},
	"swapped with the next": func(c *chainOf, n, _ int) int {
		c.rows[n-1], c.rows[n] = c.rows[n], c.rows[n-1]
		return n
	},
	"there twice": func(c *chainOf, n, _ int) int {
		c.rows = slices.Insert(c.rows, n, c.rows[n-1])
		return n
	},
	"tail cut and the head set back": func(c *chainOf, n, _ int) int {
		c.rows = c.rows[:n-1]
		c.head.Seq, c.head.Hash = int64(n-1), c.rows[n-2].Hash
		return n
	},
	"rewritten from there to the head": func(c *chainOf, n, signed int) int {
		c.rows[n-1].Body = bytes.Replace(c.rows[n-1].Body, []byte("shop"), []byte("shoq"), 1)
		c.rewrite(n)
		return signed
	},
	"removed and the rest rewritten": func(c *chainOf, n, signed int) int {
		c.rows = slices.Delete(c.rows, n-1, n)
		c.rewrite(n)
		return min(signed, len(c.rows)+1)
	},
	"written earlier than the one before, and the rest rewritten": func(c *chainOf, n, _ int) int {
		body := string(c.rows[n-1].Body)
		at := strings.LastIndex(body, ":")
		c.rows[n-1].Body = []byte(body[:at+1] + "1700000000000000000}")
		c.rewrite(n)
		return n
	},
}

// Every kind of tampering at every position of a chain is found and named. In a
// normal run it is one position in 31, from a random one on; all with
// RIPOSTE_EVERY_POSITION=1.
func TestTamperingAtEveryPositionIsFound(t *testing.T) {
	const entries, each, stride = 2100, 100, 31
	c := exportedChain(t, entries, each)
	is := c.verify(t)
	require.True(t, is.OK, "%+v", is)
	require.EqualValues(t, entries, is.Signed)
	step, begin := stride, 2+mathrand.IntN(stride)
	if os.Getenv("RIPOSTE_EVERY_POSITION") != "" {
		step, begin = 1, 2
	}
	for name, tamper := range tampers {
		t.Run(name, func(t *testing.T) {
			for n := begin; n < entries; n += step {
				copied := c
				copied.rows = slices.Clone(c.rows)
				signed := (n + each - 1) / each * each
				want := tamper(&copied, n, signed)
				is := copied.verify(t)
				require.False(t, is.OK, "entry %d", n)
				require.EqualValues(t, want, is.BadSeq, "entry %d: %s", n, is.Reason)
			}
		})
	}
}

func TestCheckpointsThatContradict(t *testing.T) {
	c := exportedChain(t, 60, 20)
	key := newKey(t)
	sign := signPoint
	last := c.evidence.Checkpoints[2]
	for name, x := range map[string]struct {
		change func(e *audit.Evidence)
		seq    int64
		reason string
	}{
		"by another key": {func(e *audit.Evidence) { e.Checkpoints[1] = sign(e.Checkpoints[1], key) }, 40, "which nobody trusted has named"},
		"bad signature":  {func(e *audit.Evidence) { e.Checkpoints[1].AtNS++ }, 40, "its signature is not its key's"},
		"one missing":    {func(e *audit.Evidence) { e.Checkpoints = slices.Delete(e.Checkpoints, 1, 2) }, 60, "one between the two is missing"},
		"beyond the end": {func(e *audit.Evidence) {
			e.Keys = append(e.Keys, key.Public().(ed25519.PublicKey))
			digest := last.Digest()
			e.Checkpoints = append(e.Checkpoints, sign(audit.Point{Cluster: "c", Seq: 61, Kind: audit.PointCheckpoint, AtNS: last.AtNS, Hash: make([]byte, 32), Prev: digest[:]}, key))
		}, 61, "the tail is missing: entry 61 was signed at"},
		"two of one entry": {func(e *audit.Evidence) {
			e.Keys = append(e.Keys, key.Public().(ed25519.PublicKey))
			fork := last
			fork.Hash = bytes.Repeat([]byte{7}, 32)
			e.Checkpoints = append(e.Checkpoints, sign(fork, key))
		}, 60, "the chain was forked"},
		"time goes back": {func(e *audit.Evidence) {
			e.Keys = append(e.Keys, key.Public().(ed25519.PublicKey))
			back := last
			back.AtNS = e.Checkpoints[1].AtNS - int64(time.Second)
			e.Checkpoints[2] = sign(back, key)
		}, 60, "the clock went back"},
		"of another chain": {func(e *audit.Evidence) { e.Checkpoints[1].Cluster = "d" }, 60, "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			copied := c
			copied.evidence.Checkpoints = slices.Clone(c.evidence.Checkpoints)
			x.change(&copied.evidence)
			r, err := audit.VerifyRows(each(copied.rows, nil), []audit.Head{copied.head}, copied.evidence)
			require.NoError(t, err)
			require.False(t, r.OK)
			require.Equal(t, x.seq, r.Chains[0].BadSeq, r.Chains[0].Reason)
			require.Contains(t, r.Chains[0].Reason, x.reason)
		})
	}
}

// signPoint signs by the documented format alone.
func signPoint(p audit.Point, key ed25519.PrivateKey) audit.Point {
	p.Key = audit.Hex(key.Public().(ed25519.PublicKey))
	kind := byte(0)
	if p.Kind == audit.PointAnchor {
		kind = 1
	}
	m := append([]byte("riposte/checkpoint/1\n"), kind)
	m = binary.BigEndian.AppendUint32(m, uint32(len(p.Cluster)))
	m = append(m, p.Cluster...)
	m = binary.BigEndian.AppendUint64(m, uint64(p.Seq))
	m = append(m, p.Hash...)
	m = binary.BigEndian.AppendUint64(m, uint64(p.AtNS))
	m = append(append(m, p.Prev...), p.Key...)
	m = binary.BigEndian.AppendUint32(m, uint32(len(p.NextKey)))
	p.Signature = ed25519.Sign(key, append(m, p.NextKey...))
	return p
}

func FuzzVerifyExport(f *testing.F) {
	f.Add([]byte(`{"head":{"cluster":"c","hash":"00","seq":1}}` + "\n" + `{"entry":{"body":"{}","cluster":"c","hash":"00","prev":"","seq":1}}`))
	f.Add([]byte(`{"entry":{"body":"\u0000","cluster":"c","hash":"zz","sealed":{"note":{"salt":"00","value":"x"}},"seq":-1}}`))
	f.Add([]byte(`{"checkpoint":{"cluster":"c","seq":1,"kind":"checkpoint"}}`))
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, export []byte) {
		r, err := audit.VerifyExport(bytes.NewReader(export), trusting(key))
		if err == nil && r.OK {
			require.Zero(t, r.Entries, "nobody makes a good entry by chance: "+strconv.Quote(string(export)))
		}
	})
}
