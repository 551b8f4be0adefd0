package api

import "riposte/responder/audit"

// VerificationOf is a report as the API answers it and the command line prints it.
func VerificationOf(r audit.Report) Verification {
	v := Verification{OK: r.OK, Entries: r.Entries, Chains: []ChainVerification{}}
	for _, c := range r.Chains {
		v.Chains = append(v.Chains, ChainVerification(c))
	}
	return v
}
