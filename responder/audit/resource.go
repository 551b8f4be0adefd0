package audit

import "riposte/responder/api"

// Resource is a report as the API answers it and the command line prints it.
func (r Report) Resource() api.Verification {
	v := api.Verification{OK: r.OK, Entries: r.Entries, Chains: []api.ChainVerification{}}
	for _, c := range r.Chains {
		v.Chains = append(v.Chains, api.ChainVerification(c))
	}
	return v
}
