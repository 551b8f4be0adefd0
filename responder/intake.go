package responder

import (
	"context"
	"net"

	"riposte/responder/ingest"
	"riposte/responder/intake"
)

// startHTTPIntake takes alerts of Falco and Falcosidekick, if that is wanted. They
// have an ingest of their own, because one handles one batch at a time.
func (r *Responder) startHTTPIntake(ctx context.Context) error {
	if r.intake == nil {
		return nil
	}
	log := r.o.Log.With("component", "intake")
	o := r.ingest
	o.Log = log
	in := ingest.New(o)
	s, err := intake.New(intake.Options{
		Identities: r.intake, Handle: in.Handle, CertFile: r.o.IntakeCert, KeyFile: r.o.IntakeKey, ClientCAFile: r.o.IntakeClientCA, Log: log,
	})
	if err != nil {
		return err
	}
	r.counts.ingest["http"], r.counts.intake = in.Counts, s.Counts
	l, err := r.listen(ctx, "intake", r.o.IntakeListen)
	if err != nil {
		return err
	}
	r.intakeAddr = l.Addr().String()
	if host, _, err := net.SplitHostPort(r.intakeAddr); err == nil && r.o.IntakeCert == "" && !net.ParseIP(host).IsLoopback() {
		log.Warn("the intake takes tokens over plain HTTP: anybody on the way can read them; give it a certificate", "address", r.intakeAddr)
	}
	s.Start(l)
	r.cleanups.add("the HTTP intake", s.Stop)
	r.watch("intake", s.Failed())
	return nil
}

// IntakeAddr is the address of the HTTP intake once Start has returned, empty without one.
func (r *Responder) IntakeAddr() string { return r.intakeAddr }
