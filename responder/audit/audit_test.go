package audit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"riposte/responder/audit"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// entry is a full entry; n makes it differ from others.
func entry(cluster string, n int) audit.Entry {
	return audit.Entry{
		Cluster: cluster, Kind: audit.ActionResult, Actor: audit.Playbook("kill-on-critical", "5f1e"), Result: "succeeded",
		At: time.Unix(1_800_000_000, int64(n)*1_234_567), Note: fmt.Sprintf("entry %d", n),
		Why: audit.Why{AlertID: uuid.NewString(), IncidentID: uuid.NewString(), Rule: "Terminal shell in container", Reason: "a shell <b>&\x1b[31m"},
		What: audit.What{
			ActionID: uuid.NewString(), Type: "kill_container", Object: "c/container/n/abc/1/2", UID: "abc", Kind: "container", Namespace: "shop", Name: "cart", Node: "n",
			Labels: map[string]string{"b": "2", "app": "x"}, Params: json.RawMessage(`{"b": 1, "a": [1.50, 12345678901234567890]}`),
		},
		When: audit.When{KernelNS: 1, AgentNS: 2, ReceivedNS: 3, DecidedNS: 4, ExecutedNS: 5, VerifiedNS: 6},
	}
}

func appendAll(t testing.TB, s *store.Store, entries ...audit.Entry) {
	t.Helper()
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error { return audit.Append(t.Context(), tx, entries...) }))
}

// fill writes a chain of n entries in batches.
func fill(t testing.TB, s *store.Store, cluster string, n int) {
	t.Helper()
	for done := 0; done < n; {
		batch := min(100, n-done)
		entries := make([]audit.Entry, batch)
		for i := range entries {
			entries[i] = entry(cluster, done+i+1)
		}
		appendAll(t, s, entries...)
		done += batch
	}
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	return key
}

// trusting is the evidence of somebody who has public keys alone.
func trusting(keys ...ed25519.PrivateKey) (e audit.Evidence) {
	for _, k := range keys {
		e.Keys = append(e.Keys, k.Public().(ed25519.PublicKey))
	}
	return e
}

func verify(t testing.TB, s *store.Store) audit.Report {
	t.Helper()
	r, err := audit.Verify(t.Context(), s.Pool(), audit.Evidence{})
	require.NoError(t, err)
	return r
}

func TestAppendedEntriesVerify(t *testing.T) {
	s := storetest.New(t)
	require.Equal(t, audit.Report{OK: true}, verify(t, s), "an empty record is in order")

	appendAll(t, s)
	appendAll(t, s, entry("b", 1), entry("a", 2), entry("b", 3))
	appendAll(t, s, entry("b", 4))
	r := verify(t, s)
	require.True(t, r.OK)
	require.EqualValues(t, 4, r.Entries)
	require.Len(t, r.Chains, 2)
	require.Equal(t, "a", r.Chains[0].Cluster)
	require.EqualValues(t, 1, r.Chains[0].Entries)
	require.EqualValues(t, 3, r.Chains[1].Entries)
	require.Len(t, r.Chains[1].Head, 64)
}

func TestAppendIsPartOfTheTransaction(t *testing.T) {
	s := storetest.New(t)
	stop := errors.New("the caller changed its mind")
	err := s.InTx(t.Context(), func(tx store.Tx) error {
		require.NoError(t, audit.Append(t.Context(), tx, entry("c", 1)))
		return stop
	})
	require.ErrorIs(t, err, stop)
	require.Equal(t, audit.Report{OK: true}, verify(t, s))
}

func TestConcurrentWritersKeepOneChain(t *testing.T) {
	s := storetest.New(t)
	group, ctx := errgroup.WithContext(t.Context())
	for w := range 8 {
		group.Go(func() error {
			for i := range 25 {
				err := s.InTx(ctx, func(tx store.Tx) error {
					// Clusters in either order: writers must not deadlock.
					if w%2 == 0 {
						return audit.Append(ctx, tx, entry("x", i), entry("y", i))
					}
					return audit.Append(ctx, tx, entry("y", i), entry("x", i))
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	r := verify(t, s)
	require.True(t, r.OK, "%+v", r)
	require.EqualValues(t, 2*8*25, r.Entries)
}

func TestBodyIsCanonical(t *testing.T) {
	s := storetest.New(t)
	e := entry("c", 1)
	e.Why.AlertID = "0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B"
	e.Why.IncidentID, e.What.ActionID = "", ""
	appendAll(t, s, e)
	var body, salt []byte
	var note, params string
	require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT body, note, note_salt, params FROM audit`).Scan(&body, &note, &salt, &params))
	require.Equal(t, "entry 1", note)
	require.Equal(t, `{"a":[1.50,12345678901234567890],"b":1}`, params) //nolint:testifylint // the bytes count
	var said struct {
		Sealed    map[string]string `json:"sealed"`
		WrittenNS int64             `json:"written_ns"`
	}
	require.NoError(t, json.Unmarshal(body, &said))
	digest := audit.Digest("note", audit.Seal{Salt: salt, Value: note})
	require.Equal(t, hex.EncodeToString(digest[:]), said.Sealed["note"])
	require.WithinDuration(t, time.Now(), time.Unix(0, said.WrittenNS), time.Hour)
	require.Equal(t, fmt.Appendf(nil, `{"actor":"playbook:kill-on-critical@5f1e","at_ns":1800000000001234567,"cluster":"c","kind":"action.result","result":"succeeded","schema":2,`+
		`"sealed":{"note":%q,"params":%q,"reason":%q},"what":{"kind":"container","labels":{"app":"x","b":"2"},"name":"cart","namespace":"shop","node":"n",`+
		`"object":"c/container/n/abc/1/2","type":"kill_container","uid":"abc"},"when":{"agent_ns":2,"decided_ns":4,"executed_ns":5,"kernel_ns":1,"received_ns":3,"verified_ns":6},`+
		`"why":{"alert_id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b","playbook":"kill-on-critical","revision":"5f1e","rule":"Terminal shell in container"},"written_ns":%d}`,
		said.Sealed["note"], said.Sealed["params"], said.Sealed["reason"], said.WrittenNS), body)
	require.True(t, verify(t, s).OK)
}

func TestHostileTextIsWrittenAndVerifies(t *testing.T) {
	s := storetest.New(t)
	for name, text := range map[string]string{
		"nul": "a\x00b", "not utf-8": "a\xff\xfeb", "controls": "a\x1b[2Jb\r\n", "long": strings.Repeat("é", 5000), "line separators": "a\u2028b\u2029c",
	} {
		t.Run(name, func(t *testing.T) {
			e := entry("c", 1)
			e.Actor, e.Result, e.Note = text, text, text
			e.Why.Rule, e.Why.Reason = text, text
			e.What.Object, e.What.UID, e.What.Type = text, text, text
			e.What.Kind, e.What.Namespace, e.What.Name, e.What.Node, e.Why.Playbook = text, text, text, text, text
			e.What.Labels, e.What.Params = map[string]string{text: text, "k": text}, nil
			appendAll(t, s, e)
			r := verify(t, s)
			require.True(t, r.OK, "%+v", r)
		})
	}
}

func TestLargeParamsBecomeADigest(t *testing.T) {
	s := storetest.New(t)
	e := entry("c", 1)
	e.What.Params = json.RawMessage(`{"x":"` + strings.Repeat("y", 20_000) + `"}`)
	appendAll(t, s, e)
	var params string
	require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT params FROM audit`).Scan(&params))
	require.Contains(t, params, `{"bytes":20008,"sha256":"`)
	require.Less(t, len(params), 200)
}

func TestAppendRefuses(t *testing.T) {
	s := storetest.New(t)
	for want, change := range map[string]func(*audit.Entry){
		`cluster "" is empty`:                        func(e *audit.Entry) { e.Cluster = "" },
		`cluster "a\x00" is empty or no text`:        func(e *audit.Entry) { e.Cluster = "a\x00" },
		`unknown kind "action.oops"`:                 func(e *audit.Entry) { e.Kind = "action.oops" },
		`actor is empty`:                             func(e *audit.Entry) { e.Actor = "" },
		`why.alert_id "x" is not a UUID`:             func(e *audit.Entry) { e.Why.AlertID = "x" },
		`why.incident_id "z" is not a UUID`:          func(e *audit.Entry) { e.Why.IncidentID = "z" },
		`what.action_id "y" is not a UUID`:           func(e *audit.Entry) { e.What.ActionID = "y" },
		`what.params: invalid character`:             func(e *audit.Entry) { e.What.Params = json.RawMessage(`{]`) },
		`what.params holds more than one JSON value`: func(e *audit.Entry) { e.What.Params = json.RawMessage(`{} {}`) },
	} {
		e := entry("c", 1)
		change(&e)
		err := s.InTx(t.Context(), func(tx store.Tx) error { return audit.Append(t.Context(), tx, entry("c", 0), e) })
		require.ErrorContains(t, err, want)
	}
	require.Equal(t, audit.Report{OK: true}, verify(t, s), "a refused entry takes its transaction with it")
}

func TestTheTableIsAppendOnly(t *testing.T) {
	s := storetest.New(t)
	fill(t, s, "c", 3)
	for _, sql := range []string{
		`UPDATE audit SET result = 'failed' WHERE seq = 2`,
		`DELETE FROM audit WHERE seq = 2`,
		`TRUNCATE audit`,
	} {
		_, err := s.Pool().Exec(t.Context(), sql)
		require.ErrorContains(t, err, "append-only", sql)
	}
	require.True(t, verify(t, s).OK)
}

func TestKindsAreKnownOnce(t *testing.T) {
	seen := map[audit.Kind]bool{}
	for _, k := range audit.Kinds() {
		require.False(t, seen[k], k)
		seen[k] = true
	}
}

// mixed are entries as alerts cause them: of each three one is about the alert, one
// about a decision and one about an action.
func mixed(cluster string, n int) []audit.Entry {
	all := make([]audit.Entry, n)
	for i := range all {
		e := entry(cluster, i)
		switch i % 3 {
		case 0:
			e.Kind, e.Actor, e.Result = audit.Alert, "system:agent on n", "stored"
		case 1:
			e.Kind, e.Result = audit.Decision, "decided"
		}
		if i%3 != 2 {
			e.Note, e.Why.Reason = "", ""
			e.What = audit.What{Node: "n", Kind: "pod", Namespace: "shop", Name: "cart", UID: e.What.UID}
		}
		all[i] = e
	}
	return all
}

func BenchmarkAppend(b *testing.B) {
	actions := func(cluster string, n int) []audit.Entry {
		all := make([]audit.Entry, n)
		for i := range all {
			all[i] = entry(cluster, i)
		}
		return all
	}
	for _, x := range []struct {
		name    string
		entries func(cluster string, n int) []audit.Entry
		batch   int
	}{{"batch=1", actions, 1}, {"batch=4", actions, 4}, {"batch=16", actions, 16}, {"batch=100", actions, 100}, {"mixed/batch=99", mixed, 99}} {
		b.Run(x.name, func(b *testing.B) {
			s := storetest.New(b)
			entries := x.entries("c", x.batch)
			b.ReportAllocs()
			report := storetest.Cost(b)
			for b.Loop() {
				require.NoError(b, s.InTx(context.Background(), func(tx store.Tx) error { return audit.Append(context.Background(), tx, entries...) }))
			}
			b.ReportMetric(float64(b.N*x.batch)/b.Elapsed().Seconds(), "entries/s")
			report(b.N * x.batch)
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	s := storetest.New(b)
	const entries = 20_000
	fill(b, s, "c", entries)
	var export bytes.Buffer
	require.NoError(b, audit.Export(b.Context(), s.Pool(), &export, audit.Part{}))
	b.Run("database", func(b *testing.B) {
		b.ReportAllocs()
		report := storetest.Cost(b)
		for b.Loop() {
			require.True(b, verify(b, s).OK)
		}
		b.ReportMetric(float64(b.N*entries)/b.Elapsed().Seconds(), "entries/s")
		report(b.N * entries)
	})
	b.Run("export", func(b *testing.B) {
		b.ReportAllocs()
		report := storetest.Cost(b)
		for b.Loop() {
			r, err := audit.VerifyExport(bytes.NewReader(export.Bytes()), audit.Evidence{})
			require.NoError(b, err)
			require.True(b, r.OK)
		}
		b.ReportMetric(float64(b.N*entries)/b.Elapsed().Seconds(), "entries/s")
		report(b.N * entries)
	})
}
