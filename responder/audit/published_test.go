package audit_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/audit"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// backTo sets a record back to an entry, as a restored backup does.
func backTo(t testing.TB, s *store.Store, seq int) {
	t.Helper()
	owner(t, s, `DELETE FROM audit WHERE seq > $1`, seq)
	owner(t, s, `DELETE FROM audit_checkpoints WHERE seq > $1`, seq)
	owner(t, s, `UPDATE audit_heads SET seq = $1, hash = (SELECT hash FROM audit WHERE seq = $1)`, seq)
}

// What the places have and the database has not is told as what it is, and names the
// first entry: of a chain that was signed at 20, 30 and 40.
func TestTheRecordIsComparedWithWhatWasPublished(t *testing.T) {
	for name, x := range map[string]struct {
		tamper func(t *testing.T, s *store.Store)
		seq    int64
		reason string
	}{
		"nothing":      {func(*testing.T, *store.Store) {}, 0, ""},
		"more entries": {func(t *testing.T, s *store.Store) { fill(t, s, "c", 5) }, 0, ""},
		"a backup of entry 25": {
			func(t *testing.T, s *store.Store) { backTo(t, s, 25) },
			26, "the tail is missing: entry 30 was signed at",
		},
		"a backup that has grown past the next checkpoint": {
			func(t *testing.T, s *store.Store) { backTo(t, s, 25); fill(t, s, "c", 8) },
			30, "the chain was written anew from some entry after 20",
		},
		"a backup that has grown past all": {
			func(t *testing.T, s *store.Store) { backTo(t, s, 25); fill(t, s, "c", 40) },
			30, "the chain was written anew from some entry after 20",
		},
		"a backup from before the first checkpoint": {
			func(t *testing.T, s *store.Store) { backTo(t, s, 10) },
			11, "the tail is missing: entry 20 was signed at",
		},
		"the newest checkpoint removed": {
			func(t *testing.T, s *store.Store) { owner(t, s, `DELETE FROM audit_checkpoints WHERE seq = 40`) },
			40, "is not in the database any more: it was removed. The entries are those that were signed",
		},
		"the last two removed": {
			func(t *testing.T, s *store.Store) { owner(t, s, `DELETE FROM audit_checkpoints WHERE seq > 20`) },
			30, "is not in the database any more: it was removed. The entries are those that were signed",
		},
		"all checkpoints removed": {
			func(t *testing.T, s *store.Store) { owner(t, s, `DELETE FROM audit_checkpoints`) },
			20, "is not in the database any more: it was removed. The entries are those that were signed",
		},
		"all checkpoints and an entry removed": {
			func(t *testing.T, s *store.Store) {
				owner(t, s, `DELETE FROM audit_checkpoints`)
				owner(t, s, `DELETE FROM audit WHERE seq = 7`)
			},
			7, "entry 7 is missing",
		},
		"one between two": {
			func(t *testing.T, s *store.Store) { owner(t, s, `DELETE FROM audit_checkpoints WHERE seq = 30`) },
			40, "it does not follow that of entry 20: one between the two is missing",
		},
		"the whole chain, head included": {
			func(t *testing.T, s *store.Store) { owner(t, s, `TRUNCATE audit, audit_heads, audit_checkpoints`) },
			1, "the tail is missing: entry 20 was signed at",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, key := storetest.New(t), newKey(t)
			signer := audit.NewSigner(audit.SignerOptions{Store: s, Key: key, Places: []audit.Place{
				&audit.File{Path: filepath.Join(t.TempDir(), "checkpoints.jsonl")},
			}})
			for _, n := range []int{20, 10, 10} {
				fill(t, s, "c", n)
				round(t, signer, true)
			}
			x.tamper(t, s)
			e := trusting(key)
			var err error
			e.Checkpoints, err = signer.Published(t.Context())
			require.NoError(t, err)
			r, err := audit.Verify(t.Context(), s.Pool(), e)
			require.NoError(t, err)
			require.Len(t, r.Chains, 1)
			require.Equal(t, x.seq, r.Chains[0].BadSeq, r.Chains[0].Reason)
			require.Contains(t, r.Chains[0].Reason, x.reason)
			require.Equal(t, x.reason == "", r.OK)
		})
	}
}

func TestOfWhatTheDatabaseHasTheNewestIsEnough(t *testing.T) {
	s, key := storetest.New(t), newKey(t)
	file := &audit.File{Path: filepath.Join(t.TempDir(), "checkpoints.jsonl")}
	signer := audit.NewSigner(audit.SignerOptions{Store: s, Key: key, Places: []audit.Place{file}})
	published, err := signer.Published(t.Context())
	require.NoError(t, err)
	require.Empty(t, published, "there is no file yet")
	for range 3 {
		fill(t, s, "c", 2)
		fill(t, s, "d", 1)
		round(t, signer, true)
	}
	numbers := func() (all []int64) {
		published, err := signer.Published(t.Context())
		require.NoError(t, err)
		for _, p := range published {
			all = append(all, p.Seq)
		}
		return all
	}
	require.Equal(t, []int64{6, 3}, numbers())
	owner(t, s, `DELETE FROM audit_checkpoints WHERE cluster = 'd' AND seq = 3`)
	require.Equal(t, []int64{6, 1, 2, 3}, numbers())
}
