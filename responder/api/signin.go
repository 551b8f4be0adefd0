package api

// SignIn is how people can sign in at the console beside with a token.
type SignIn struct {
	// Issuer is the OpenID Connect issuer that they can sign in with; missing without one.
	Issuer string `json:"issuer,omitempty"`
	// Failure says why this browser's last attempt with it ended. A part of it may be the
	// issuer's text.
	Failure string `json:"failure,omitempty"`
}

// SignInAttempt begins to sign in with the issuer.
type SignInAttempt struct {
	// ReturnTo is the console's page to come back to: a path with query and fragment.
	ReturnTo string `json:"return_to"`
}

// SignInBegun is where to send the browser.
type SignInBegun struct {
	Location string `json:"location"`
}

// SignedOut may say where to send the browser so that the issuer forgets it too.
type SignedOut struct {
	Location string `json:"location,omitempty"`
}
