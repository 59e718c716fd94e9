package server

import "github.com/remit-auth/remit/store"

// What the pages of signing in and of the account are told to say.
const (
	textSignInAgain  = "Sign in again to go on. This is asked before anything changes that decides who you are."
	textCodeWrong    = "This code is not right, or was used already."
	textPasskeyWrong = "This passkey was not accepted."

	textNoProvider      = "There is no such provider."
	textProviderDenied  = "The provider did not sign you in."
	textProviderDown    = "The provider does not answer. Try again in a little while."
	textProviderRefused = "The provider's answer was not accepted. Start again."
	textProviderUnknown = "You have no access here with that account. Ask your admin."
	textProviderTaken   = "Somebody here has this e-mail already. If that is you, sign in as before and link the other account on your account page."
	textIdentityTaken   = "That account is linked to somebody here already."

	textPasskeyAdded    = "The passkey was added."
	textPasskeyRemoved  = "The passkey was removed."
	textCodesRemoved    = "One-time codes are off, and the recovery codes are void."
	textPasswordChanged = "The password was changed. All other browsers are signed out."
	textPasswordWrong   = "The current password is not right."
	textPasswordLength  = "A password has 8 to 1024 characters."
	textSessionEnded    = "That browser is signed out."
	textSessionsEnded   = "All other browsers are signed out."
	textPushOn          = "This browser is told when an agent waits for you."
	textPushOff         = "This browser is told nothing any more."
	textPushNowhere     = "The browser did not say where it takes messages. Try again."
	textSetUpWrong      = "An e-mail address and a name are needed."
)

// textAccountTold is what the account page says after another page has led back to it.
var textAccountTold = map[string]string{"linked": "The account was linked. You can sign in with it from now on."}

// textSignedInBy is how a session began.
var textSignedInBy = map[string]string{
	store.ByPassword: "with the password", store.ByCode: "with password and code",
	store.ByPasskey: "with a passkey", store.ByProvider: "through another provider", "": "signed in",
}

// What browsers are told by push messages: shown on a locked screen, it names nobody and no tool.
const (
	textPushWaiting = "An agent waits for your answer."
	textPushFirst   = "An agent works for you that never did before."
)

// What users are told by e-mail.
const (
	textMailWaitingSubject = "An agent asks you about one call: %s"
	textMailWaiting        = "An agent wants to call %s at %s and waits for your yes or no.\n\nSee what exactly it wants to do, and answer:\n%s\n\nThe question expires in %d minutes. If you do not answer, the call does not run.\n"
	textMailFirstSubject   = "An agent works for you for the first time"
	textMailFirst          = "You have just let an agent work for you that never did before: %s.\nThis happened on %s in %s.\n\nSee what it does, or stop it:\n%s\n\nIf this was not you, stop it there and change how you sign in.\n"
)
