package audit_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/audit"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// owner runs SQL as the database's owner, past the triggers.
func owner(t testing.TB, s *store.Store, sql string, args ...any) {
	t.Helper()
	require.NoError(t, s.InTx(t.Context(), func(tx store.Tx) error {
		if _, err := tx.Exec(t.Context(), "SET LOCAL session_replication_role = replica"); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), sql, args...)
		return err
	}))
}

func round(t testing.TB, s *audit.Signer, all bool) {
	t.Helper()
	require.NoError(t, s.Round(t.Context(), all))
}

func signedTo(t testing.TB, s *store.Store, e audit.Evidence) int64 {
	t.Helper()
	r, err := audit.Verify(t.Context(), s.Pool(), e)
	require.NoError(t, err)
	require.True(t, r.OK, "%+v", r)
	return r.Chains[0].Signed
}

func TestCheckpointsComeAfterEntriesAndAfterTime(t *testing.T) {
	s, key, now := storetest.New(t), newKey(t), time.Now()
	signer := audit.NewSigner(audit.SignerOptions{Store: s, Key: key, Every: 10, Within: time.Minute, Now: func() time.Time { return now }})
	e := trusting(key)
	round(t, signer, false)
	fill(t, s, "c", 3)
	round(t, signer, false)
	require.EqualValues(t, 3, signedTo(t, s, e), "a chain's first entries at once")
	fill(t, s, "c", 9)
	round(t, signer, false)
	require.EqualValues(t, 3, signedTo(t, s, e), "neither ten entries nor a minute")
	fill(t, s, "c", 1)
	round(t, signer, false)
	require.EqualValues(t, 13, signedTo(t, s, e))
	fill(t, s, "c", 1)
	now = now.Add(2 * time.Minute)
	round(t, signer, false)
	require.EqualValues(t, 14, signedTo(t, s, e))
	now = now.Add(time.Hour)
	round(t, signer, false)
	require.Equal(t, map[string]uint64{"signed": 3, "refused": 0, "unsent": 0}, signer.Counts(), "nothing new, nothing signed")
}

func TestTheOldKeyHandsOver(t *testing.T) {
	s, one, two, three := storetest.New(t), newKey(t), newKey(t), newKey(t)
	with := func(o audit.SignerOptions) *audit.Signer {
		o.Store = s
		fill(t, s, "c", 5)
		return audit.NewSigner(o)
	}
	round(t, with(audit.SignerOptions{Key: one}), true)
	require.ErrorContains(t, with(audit.SignerOptions{Key: two}).Round(t.Context(), true), "give it as the old key")
	handing := with(audit.SignerOptions{Key: two, OldKey: one})
	round(t, handing, true)
	fill(t, s, "c", 5)
	round(t, handing, true)
	round(t, with(audit.SignerOptions{Key: two}), true)
	round(t, with(audit.SignerOptions{Key: three, OldKey: two}), true)
	require.ErrorContains(t, with(audit.SignerOptions{Key: one}).Round(t.Context(), true), "which is not ours", "a key that handed over is not taken back")
	require.EqualValues(t, 30, signedTo(t, s, trusting(one)), "the first key is enough")
	r, err := audit.Verify(t.Context(), s.Pool(), trusting(two))
	require.NoError(t, err)
	require.False(t, r.OK, "somebody who knows only a later key cannot tell who the first was")
}

// Whoever owns the database makes a chain that fits in itself. The signer must not
// vouch for it.
func TestNothingIsSignedThatWasWrittenAnew(t *testing.T) {
	for name, tamper := range map[string]func(s *store.Store){
		"an earlier tail, the checkpoint too": func(s *store.Store) {
			owner(t, s, `DELETE FROM audit WHERE seq > 12`)
			owner(t, s, `DELETE FROM audit_checkpoints WHERE seq > 12`)
			owner(t, s, `UPDATE audit_heads h SET seq = 12, hash = (SELECT hash FROM audit WHERE seq = 12)`)
		},
		"the checkpoint alone": func(s *store.Store) { owner(t, s, `DELETE FROM audit_checkpoints`) },
		"the signed entry":     func(s *store.Store) { owner(t, s, `UPDATE audit SET hash = sha256(hash) WHERE seq = 20`) },
		"the head":             func(s *store.Store) { owner(t, s, `UPDATE audit_heads SET hash = sha256(hash)`) },
		"everything, from scratch": func(s *store.Store) {
			owner(t, s, `TRUNCATE audit, audit_heads, audit_checkpoints`)
			fill(t, s, "c", 40)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, key := storetest.New(t), newKey(t)
			path := filepath.Join(t.TempDir(), "checkpoints.jsonl")
			again := func() *audit.Signer { // as after a restart: all it knows is what the places have
				return audit.NewSigner(audit.SignerOptions{Store: s, Key: key, Places: []audit.Place{&audit.File{Path: path}}})
			}
			fill(t, s, "c", 20)
			round(t, again(), true)
			fill(t, s, "c", 5)
			tamper(s)
			signer := again()
			require.ErrorIs(t, signer.Round(t.Context(), true), audit.ErrTampered)
			require.EqualValues(t, 1, signer.Counts()["refused"])
			kept, _, err := audit.ReadFile(path)
			require.NoError(t, err)
			require.Len(t, kept, 1)
			e := trusting(key)
			e.Checkpoints = kept
			r, err := audit.Verify(t.Context(), s.Pool(), e)
			require.NoError(t, err)
			require.False(t, r.OK, "%+v", r)
		})
	}
}

// forgetful takes nothing for a while.
type forgetful struct {
	audit.File
	away bool
}

func (f *forgetful) Put(ctx context.Context, p audit.Point) error {
	if f.away {
		return errors.New("away")
	}
	return f.File.Put(ctx, p)
}

func TestAPlaceThatWasAwayGetsWhatItMissed(t *testing.T) {
	s, key := storetest.New(t), newKey(t)
	place := &forgetful{File: audit.File{Path: filepath.Join(t.TempDir(), "checkpoints.jsonl")}, away: true}
	signer := audit.NewSigner(audit.SignerOptions{Store: s, Key: key, Places: []audit.Place{place}})
	for range 3 {
		fill(t, s, "c", 2)
		require.ErrorContains(t, signer.Round(t.Context(), true), "away")
	}
	require.EqualValues(t, 6, signedTo(t, s, trusting(key)), "it is signed all the same")
	place.away = false
	// A crash cut a line off meanwhile.
	require.NoError(t, os.WriteFile(place.Path, []byte(`{"cluster":"c","se`), 0o600))
	round(t, signer, false)
	round(t, signer, false)
	kept, damaged, err := audit.ReadFile(place.Path)
	require.NoError(t, err)
	require.Len(t, kept, 3)
	require.Equal(t, []int{1}, damaged)
	require.EqualValues(t, 3, signer.Counts()["unsent"])
}

func TestRedactionErasesAndTheChainVerifies(t *testing.T) {
	s, key := storetest.New(t), newKey(t)
	signer := audit.NewSigner(audit.SignerOptions{Store: s, Key: key})
	secret := entry("c", 1)
	secret.Why.Reason = "ran mysql --password=hunter2"
	appendAll(t, s, secret)
	round(t, signer, true)
	redact := func(field string, seq int64) error {
		return s.InTx(t.Context(), func(tx store.Tx) error {
			return audit.Redact(t.Context(), tx, "c", seq, field, audit.User("jane"), "a password")
		})
	}
	require.NoError(t, redact("reason", 1))
	var left, words int
	require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE audit::text LIKE '%hunter2%'), count(*) FILTER (WHERE words @@ 'hunter2') FROM audit`).Scan(&left, &words))
	require.Zero(t, left+words, "nothing of it is left in the record")
	var kind, object string
	require.NoError(t, s.Pool().QueryRow(t.Context(), `SELECT kind, convert_from(body, 'UTF8')::json->'what'->>'object' FROM audit WHERE seq = 2`).Scan(&kind, &object))
	require.Equal(t, "audit.redaction audit/c/1/reason", kind+" "+object)
	require.EqualValues(t, 1, signedTo(t, s, trusting(key)))
	r, err := audit.Verify(t.Context(), s.Pool(), trusting(key))
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Chains[0].Erased)

	require.ErrorIs(t, redact("reason", 1), store.ErrNotFound, "it is gone")
	require.ErrorIs(t, redact("note", 99), store.ErrNotFound)
	require.ErrorIs(t, redact("actor", 1), audit.ErrNoField)
	var out bytes.Buffer
	require.NoError(t, audit.Export(t.Context(), s.Pool(), &out, audit.Part{}))
	require.NotContains(t, out.String(), "hunter2")
	r, err = audit.VerifyExport(&out, trusting(key))
	require.NoError(t, err)
	require.True(t, r.OK, "%+v", r)
}

func TestRetentionLeavesAnAnchor(t *testing.T) {
	s, key := storetest.New(t), newKey(t)
	signer := audit.NewSigner(audit.SignerOptions{Store: s, Key: key})
	// Entries of an earlier month, as if they had been written then.
	old := store.Month(time.Now()).AddDate(0, -3, 0)
	_, err := s.Pool().Exec(t.Context(), `SELECT record_month('audit', $1::date)`, old)
	require.NoError(t, err)
	writeOld(t, s, "c", 5, old)
	writeOld(t, s, "gone", 2, old)
	fill(t, s, "c", 4)
	round(t, signer, true)
	before := time.Now().AddDate(0, 0, -40)
	gone, err := signer.Retire(t.Context(), before)
	require.NoError(t, err)
	require.Equal(t, []string{old.Format("audit_2006_01")}, gone)
	r, err := audit.Verify(t.Context(), s.Pool(), trusting(key))
	require.NoError(t, err)
	require.True(t, r.OK, "%+v", r)
	require.EqualValues(t, 6, r.Chains[0].First)
	require.EqualValues(t, 5, r.Chains[0].Entries, "four, and the one about the retention")
	require.EqualValues(t, 3, r.Chains[1].First, "of a cluster that is no more, only that is left")
	gone, err = signer.Retire(t.Context(), before)
	require.NoError(t, err)
	require.Empty(t, gone)

	r, err = audit.Verify(t.Context(), s.Pool(), audit.Evidence{})
	require.NoError(t, err)
	require.False(t, r.OK, "an anchor counts for whoever has the key")
	require.Contains(t, r.Chains[0].Reason, "entry 1 is missing")
	owner(t, s, `DELETE FROM audit WHERE cluster = 'c' AND seq = 6`)
	r, err = audit.Verify(t.Context(), s.Pool(), trusting(key))
	require.NoError(t, err)
	require.False(t, r.OK, "more is missing than was retired")
	_, err = s.Pool().Exec(t.Context(), `SELECT record_retire('audit', now()::date)`)
	require.ErrorContains(t, err, "the last 31 days are kept")
}

// writeOld makes entries of a month that is over: by the format that is documented,
// as Append dates by the database's clock.
func writeOld(t testing.TB, s *store.Store, cluster string, n int, month time.Time) {
	t.Helper()
	prev := make([]byte, 32)
	at := month.AddDate(0, 0, 5)
	for i := range n {
		body := []byte(`{"actor":"system:a","at_ns":` + ns(at) + `,"cluster":"` + cluster + `","kind":"startup","result":"","schema":2,"written_ns":` + ns(at) + `}`)
		sum := audit.Sum(cluster, int64(i+1), audit.Hash(prev), body)
		_, err := s.Pool().Exec(t.Context(), `INSERT INTO audit (cluster, seq, month, at, kind, actor, result, body, prev, hash) VALUES ($1, $2, $3::date, $4, 'startup', 'system:a', '', $5, $6, $7)`,
			cluster, i+1, month, at, body, prev, sum[:])
		require.NoError(t, err)
		prev = sum[:]
	}
	_, err := s.Pool().Exec(t.Context(), `INSERT INTO audit_heads (cluster, seq, hash, written_ns) VALUES ($1, $2, $3, $4)`, cluster, n, prev, at.UnixNano())
	require.NoError(t, err)
}

func ns(at time.Time) string { return strconv.FormatInt(at.UnixNano(), 10) }
