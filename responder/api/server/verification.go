package server

import (
	"riposte/responder/api"
	"riposte/responder/audit"
)

// VerificationOf is a report as the API answers it and the command line prints it.
func VerificationOf(r audit.Report) api.Verification {
	v := api.Verification{OK: r.OK, Entries: r.Entries, Chains: []api.ChainVerification{}}
	for _, c := range r.Chains {
		v.Chains = append(v.Chains, api.ChainVerification(c))
	}
	return v
}
