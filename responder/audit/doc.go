// Package audit keeps the record of who did what to which object, why, when and
// with what effect, so that a later change of the record shows.
//
// # The chain
//
// Each cluster has one chain of entries, numbered from 1 without gaps. An entry
// is some JSON, kept and hashed as the exact bytes that were written:
//
//	hash(n) = SHA-256( tag | len(cluster) | cluster | n | hash(n-1) | len(body) | body )
//
//	tag       the 16 bytes "riposte/audit/1\n"
//	len(…)    the length in bytes, 4 bytes, most significant first
//	cluster   the cluster's name, UTF-8
//	n         the entry's number, 8 bytes, most significant first
//	hash(n-1) 32 bytes; before the first entry 32 zero bytes
//	body      the column "body", as it is
//
// The lengths make the framing unambiguous: no two different entries have the
// same bytes before the hash. The table audit_heads holds each chain's last
// number and hash.
//
// The body is JSON in UTF-8 with its keys sorted, without white space and with
// integers only. The other columns are copies of it, there to be searched. A reader
// must trust the body.
//
// # Seals
//
// A note, a reason and parameters may quote what should not stay for ever. They are
// columns of their own, and the body has their salted digests (Digest): they can be
// erased (Redact), and the chain still verifies.
//
// # Checkpoints
//
// Whoever may write the tables can compute hashes too. So a Signer signs the chain's
// end now and then (Point), with a key that the database has not, and keeps copies
// elsewhere (Place). It signs nothing about a chain in which it does not find again
// what was signed last.
//
// # What it proves
//
// Verify finds an entry that was edited, removed, put in or moved, a cut tail, a
// column or sealed value that was changed without the body, time that goes back, and,
// with the public key, a chain that was written anew up to its head. What was written
// after the last checkpoint can be cut off unseen. Retention leaves a signed anchor.
// docs/audit.md has the formats byte by byte, and a verifier of nothing but them.
//
// # Locks
//
// Append locks the chain's head until the caller's transaction ends, so that
// two writers cannot both follow the same entry. It is the one lock that all
// writers of a cluster share: call Append last in a transaction, and once with
// all its entries rather than many times.
package audit
