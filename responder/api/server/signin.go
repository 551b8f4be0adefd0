package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"riposte/responder/api"
	"riposte/responder/api/access"
	"riposte/responder/audit"
)

const (
	// attemptCookie is what a browser keeps between the issuer's page and ours: the
	// attempt, then why it failed.
	attemptCookie  = "riposte_signin"
	attemptPurpose = "attempt"
	// attemptLife is how long somebody may be at the issuer, failureLife how long it can
	// be read why an attempt failed.
	attemptLife = 10 * time.Minute
	failureLife = time.Minute
	// An address may begin, and may end, attemptBurst attempts at once, then one in two
	// seconds: each can make us ask the issuer.
	attemptsPerSecond = 0.5
	attemptBurst      = 20
	maxReturn         = 1024
)

// attempt is a sealed cookie's content.
type attempt struct {
	access.Attempt
	Return  string
	Until   int64
	Failure string
}

// showSignIn says how people sign in, and why this browser's last attempt failed.
func (s *Server) showSignIn(_ context.Context, c *call) (any, error) {
	var how api.SignIn
	if s.verifier.Console() != nil {
		how.Issuer = s.verifier.Issuer()
		how.Failure = s.attemptOf(c.Request).Failure
	}
	return how, nil
}

// beginSignIn sends a browser to the issuer.
func (s *Server) beginSignIn(w http.ResponseWriter, c *call) {
	to, err := s.beginAttempt(w, c)
	if err != nil {
		s.refuse(w, c.Request, err)
		return
	}
	s.answer(w, c.Request, api.SignInBegun{Location: to})
}

func (s *Server) beginAttempt(w http.ResponseWriter, c *call) (to string, err error) {
	if err := ownPage(c.Request); err != nil {
		return "", err
	}
	console := s.verifier.Console()
	if console == nil {
		return "", problemf("no_issuer", "nobody signs in through an issuer here; the access file has no oidc.console")
	}
	// Elsewhere the browser would come back without the attempt's cookie.
	if u, err := url.Parse(console.URL); err != nil || !strings.EqualFold(u.Host, c.Host) {
		return "", problemf("cross_origin", "through the issuer one signs in at %s alone", console.URL)
	}
	back := c.body.(*api.SignInAttempt).ReturnTo
	if !pageOfConsole(back) {
		return "", problemf("bad_body", "return_to: %.200q is no page of the console", back)
	}
	if wait := s.attempts.Take(access.Address(c.RemoteAddr)); wait > 0 {
		return "", tooMany("too_many_requests", wait, "too many sign-ins were begun at %s", access.Address(c.RemoteAddr))
	}
	one, to, err := s.verifier.BeginSignIn()
	if err != nil {
		return "", problemf("not_checked", "%s", s.failureOf(c.Request, err))
	}
	return to, s.keepAttempt(w, c.Request, attempt{Attempt: one, Return: back}, attemptLife)
}

// pageOfConsole says that a text is the path of a page of the console: not another site's
// address, for which browsers take more than one form, nor of the API.
func pageOfConsole(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxReturn && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.Contains(s, `\`) &&
		u.Scheme == "" && u.Host == "" && u.User == nil && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) &&
		!strings.HasPrefix(path.Clean(u.Path)+"/", "/api/") && path.Clean(u.Path) != access.CallbackPath
}

// finishSignIn is where the issuer sends the browser back to. Whatever came of it,
// the browser goes on to the page from which the attempt was begun.
func (s *Server) finishSignIn(w http.ResponseWriter, r *http.Request) {
	console := s.verifier.Console()
	if console == nil {
		http.NotFound(w, r)
		return
	}
	a := s.attemptOf(r)
	back := "/"
	if a.Return != "" {
		back = a.Return
	}
	if failure := s.finishAttempt(w, r, a); failure == "" {
		forget(w, attemptCookie)
	} else if err := s.keepAttempt(w, r, attempt{Failure: failure}, failureLife); err != nil {
		s.Log.Error("why somebody was not signed in is not shown", "error", err)
	}
	// Always to our own address: pageOfConsole is not all that keeps others out.
	w.Header().Set("Location", console.URL+back)
	w.WriteHeader(http.StatusSeeOther)
}

// finishAttempt signs somebody in, or says why not.
func (s *Server) finishAttempt(w http.ResponseWriter, r *http.Request, a attempt) (failure string) {
	who, err := s.person(r, a)
	if err == nil {
		err = s.letIn(w, r, who)
	}
	if err == nil {
		return ""
	}
	actor := audit.System("api")
	if who.Name != "" {
		actor = audit.User(who.Name)
	}
	failure = s.failureOf(r, err)
	s.failedSignIn(r, actor, failure)
	return failure
}

// letIn records that somebody signed in, and begins their session.
func (s *Server) letIn(w http.ResponseWriter, r *http.Request, who signedIn) error {
	value, err := s.sessions.seal(who)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	if err := s.record(ctx, audit.Entry{
		Kind: audit.Login, Actor: audit.User(who.Name), Result: "accepted",
		Note: "signed in at the console through " + s.verifier.Issuer(),
	}); err != nil {
		return err
	}
	s.setSession(w, r, value, who.until)
	return nil
}

// person is who came back from the issuer.
func (s *Server) person(r *http.Request, a attempt) (who signedIn, err error) {
	if a.State == "" {
		return who, fmt.Errorf("%w: this was not begun in this browser, or more than %s ago; begin again", access.ErrSignIn, attemptLife)
	}
	if address := access.Address(r.RemoteAddr); s.attempts.Take(address) > 0 {
		return who, tooMany("too_many_requests", 0, "too many sign-ins came from %s; try again in a minute", address)
	}
	if who.Person, err = s.verifier.FinishSignIn(r.Context(), a.Attempt, r.URL.Query()); err != nil {
		return who, err
	}
	if who.Identity, err = s.verifier.Identity(who.Person); err != nil {
		return who, fmt.Errorf("%w: the name %.100q is none that can stand in the record", access.ErrSignIn, who.User)
	}
	if len(who.Grants) == 0 {
		return who, fmt.Errorf("%w: %s may do nothing here; ask for a grant in the access file", access.ErrSignIn, who.Name)
	}
	who.until = s.sessions.now().Add(s.verifier.Console().Session)
	return who, nil
}

// failureOf is what somebody is told who was not signed in.
func (s *Server) failureOf(r *http.Request, err error) string {
	if errors.Is(err, access.ErrSignIn) {
		return strings.TrimPrefix(err.Error(), access.ErrSignIn.Error()+": ")
	}
	if errors.Is(err, access.ErrUnavailable) {
		s.Log.Error("the issuer cannot be asked", "error", err)
		return "the issuer cannot be asked now; the responder's log says why"
	}
	return s.problemOf(r, err).Detail
}

// failedSignIn tells the log, and the record as long as it is not flooded.
func (s *Server) failedSignIn(r *http.Request, actor, why string) {
	s.Log.Warn("not signed in", "actor", actor, "remote", r.RemoteAddr, "why", why)
	if s.bursts.Take("") > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), queryTimeout)
	defer cancel()
	note := fmt.Sprintf("not signed in at the console from %s: %s", access.Address(r.RemoteAddr), why)
	if err := s.record(ctx, audit.Entry{Kind: audit.Login, Actor: actor, Result: "refused", Note: note}); err != nil {
		s.Log.Error("a failed sign-in is not in the record", "error", err)
	}
}

// attemptOf is what this browser keeps; zero for nothing, or nothing any more.
func (s *Server) attemptOf(r *http.Request) (a attempt) {
	cookie, err := r.Cookie(attemptCookie)
	if err != nil || s.sealer.open(attemptPurpose, cookie.Value, &a) != nil || s.sessions.now().Unix() >= a.Until {
		return attempt{}
	}
	return a
}

// keepAttempt has the browser keep it. It is Lax, because the browser comes back from
// another site.
func (s *Server) keepAttempt(w http.ResponseWriter, r *http.Request, a attempt, life time.Duration) error {
	a.Until = s.sessions.now().Add(life).Unix()
	value, err := s.sealer.seal(attemptPurpose, a)
	if err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{
		Name: attemptCookie, Value: value, Path: "/", MaxAge: int(life / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.overTLS(r),
	})
	return nil
}

// forget has the browser drop a cookie.
func forget(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{Name: name, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
}
