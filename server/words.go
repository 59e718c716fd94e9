package server

// What the server says on its pages beside the catalogue of package web.
const (
	textRefusedTitle  = "This did not work"
	textSignInWrong   = "The e-mail or the password is not right."
	textSignInTooMany = "Too many attempts. Wait a little and try again."
	textOfferChanged  = "Something changed since this page was made: the tools, your roles or the request. Please look again."

	textGradeAdmin     = "Registered by your admin"
	textRedirectLocal  = "A program on this computer"
	textRedirectScheme = "An app on this device"

	textGroupLook   = "Look at things"
	textGroupChange = "Change things"
	textGroupDelete = "Delete things"

	textReads    = "Reads only"
	textChanges  = "Changes data"
	textDeletes  = "Deletes data"
	textLeaves   = "Reaches outside"
	textEachCall = "Asks each time"

	textNotAllowed = "not allowed here"
)

// textLeftOut says why a tool that was asked for is not offered.
var textLeftOut = map[string]string{
	"role":       "your roles at this server do not include it",
	"scope":      "it is outside the scopes that were asked for",
	"unknown":    "the server has no such tool",
	"unapproved": "it is new on the server and your admin has not approved it yet",
	"changed":    "it changed on the server since your admin approved it",
	"bearer":     "this app's token is bound to no key, and the server gives such tokens less",
	"manifest":   "its description at this server cannot be read",
}

// textStates is how the agents page names a task's state.
var textStates = map[string]string{
	"pending": "Starting", "active": "Running", "suspended": "Paused",
	"completed": "Finished by the agent", "revoked": "Ended", "expired": "Time or budget ran out",
}
