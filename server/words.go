package server

import "github.com/remit-auth/remit/store"

// What the server says on its pages beside the catalogue of package web.
const (
	textRefusedTitle  = "This did not work"
	textRefusedOther  = "The request of the app that sent you here was not in order. Go back to the app and start again."
	textSignInWrong   = "The e-mail or the password is not right."
	textSignInTooMany = "Too many attempts. Wait a little and try again."
	textSignInHeld    = "Too many attempts with this e-mail address, or from where you are. Wait %d seconds and try again. A passkey, or a browser that signed in with this address before, may work at once."
	textOfferChanged  = "Something changed since this page was made: the tools, your roles or the request. Please look again."

	textGradeAdmin         = "Registered by your admin"
	textGradeVerified      = "Domain verified"
	textGradeDomain        = "Domain checked, this program is not"
	textGradeLocalNote     = "The description of the app comes from this domain. Whether the program that asks is really that app, nobody can tell."
	textGradeElsewhereNote = "The description of the app comes from this domain, but the answer goes to another one."
	textGradeNone          = "Not verified"
	textGradeNoneNote      = "This app registered itself. Nobody has checked who made it, and anybody can use any name."
	textUnverified         = "an unverified app"

	textFirstOfAll      = "Nobody here has let this app work for them before."
	textFirstTime       = "You have not let this app work for you before; others here have."
	textOnceBefore      = "You have let this app work for you once before, on %s."
	textTimesBefore     = "You have let this app work for you %d times before, last on %s."
	textClientChanged   = "%s has changed what it says about this app since you allowed it last, on %s: %s."
	textNameChanged     = "its name was “%s” and is now “%s”"
	textRedirectAdded   = "it may now also send you to %s"
	textRedirectRemoved = "it no longer sends you to %s"
	textMethodChanged   = "it proves to this server in another way who it is"
	textKeysChanged     = "it proves who it is with other keys"

	textRedirectLocal  = "A program on this computer"
	textDeviceNote     = "Remit cannot tell where this request came from. Go on only if you started it yourself and your device shows these words."
	textDeviceAllowed  = "Done. Your agent goes on by itself; you can close this page."
	textDeviceDenied   = "Nothing was allowed. You can close this page."
	textDeviceCode     = "This code is not right, was used, or has expired. Compare it with the one that your agent shows now."
	textRedirectScheme = "An app on this device"

	textGroupLook   = "Look at things"
	textGroupChange = "Change things"
	textGroupDelete = "Delete things"

	textReads    = "Reads only"
	textChanges  = "Changes data"
	textDeletes  = "Deletes data"
	textLeaves   = "Reaches outside"
	textEachCall = "Asks each time"

	textGroupRead    = "Read documents and prompts"
	textReadsURI     = "Reads %s"
	textReadsPrompt  = "Prompt %s"
	textObservedCall = "%s (ran; the server's rules, which are only watched, would have refused it)"
	textObserved     = "This server only watches its own rules at the moment: what it would refuse is written down, and runs. Only what you allow here, and for how long, is enforced."

	textIdentityName = "Who you are"

	textLogoutTitle    = "Sign out here?"
	textLogout         = "An app asks you to sign out of this server. Your running tasks go on; you can end them on the page of your agents."
	textLogoutButton   = "Sign out"
	textSignedOutTitle = "Signed out"
	textSignedOut      = "You are not signed in here. You can close this page."

	textPart = "Server %d of %d: the app asks for several, and you decide about each by itself. Nothing is allowed before the last one is decided, and all of it is one task."

	textNotAllowed = "not allowed here"

	textTickSignsAgain = "This can destroy something: if you tick it, you are asked to sign in once more, and then to look again at what you chose."
)

// textLeftOut says why a tool that was asked for is not offered.
var textLeftOut = map[string]string{
	"role":       "your roles at this server do not include it",
	"condition":  "the server allows it only to apps that are known better, or whose token is bound to a key",
	"scope":      "it is outside the scopes that were asked for",
	"unknown":    "the server has no such tool",
	"unapproved": "it is new on the server and your admin has not approved it yet",
	"changed":    "it changed on the server since your admin approved it",
	"bearer":     "this app's token is bound to no key, and the server gives such tokens less",
	"manifest":   "its description at this server cannot be read",
	"switched":   "the operator has stopped it for now",
	"spent":      "this task has made as many calls of it as it may at most",
}

// textStates is how the agents page names a task's state.
var textStates = map[string]string{
	"pending": "Starting", "active": "Running", "suspended": "Paused",
	"completed": "Finished by the agent", "revoked": "Ended", "expired": "Time or budget ran out",
}

// textSuspended says who paused a task.
var textSuspended = map[store.Actor]string{
	store.BySwitch:  "Stopped by the operator for now",
	store.ByUser:    "Paused by you",
	store.ByAdmin:   "Paused by your admin",
	store.ByRevoker: "Paused by your admin",
	store.ByRule:    "Paused by a safety rule",
	store.ByAgent:   "Paused by the agent",
	store.ByIdle:    "Asleep until the agent goes on",
}

// reasonByUser is why a task ended that its user ended.
const reasonByUser = "ended by the user"

// reasonSignedOut is why tasks ended whose user signed out at the provider.
const reasonSignedOut = "signed_out"

// textEnded says how a task ended, by the reasons that the server itself gives.
var textEnded = map[string]string{
	reasonByUser:            "Ended by you",
	reasonSignedOut:         "Ended when you signed out at your provider",
	"deadline":              "Time ran out",
	"budget":                "Its calls were used up",
	"not_redeemed":          "Never started",
	"refresh token revoked": "Ended by the agent",
	"refresh_reuse":         "Ended for safety: its credentials were used twice",
	"code_reuse":            "Ended for safety: its code was used twice",
	"user_disabled":         "Ended by your admin",
	"client_disabled":       "Ended by your admin: the app was disabled",
	"resource_disabled":     "Ended by your admin: the server was switched off",
}

const (
	textNoSuchTask = "There is no such task."
	textTimeLeft   = "%s of %s left; ends by itself when finished"
	textNoTool     = "A request"
	textErased     = "A call, erased since"

	textDead         = "dead everywhere in %s"
	textUnreached    = "%s not reached – its token expires in %d s"
	textOutlived     = "%s was not reached, but its token has expired"
	textTaskEnded    = "“%s” is ended"
	textUnnamedEnded = "The task is ended"
	textAllEnded     = "Everything is stopped"
)

// textBlocked says why a call was blocked, by the Guard's refusal codes.
var textBlocked = map[string]string{
	"no_token":             "it came without a token",
	"bad_token":            "its token is not valid",
	"wrong_audience":       "its token is for another server",
	"token_expired":        "its token had expired",
	"not_key_bound":        "its token is bound to no key, and the server wants one",
	"wrong_key":            "a copy of the token was used with another key",
	"bad_proof":            "the caller did not prove that it holds the agent’s key",
	"proof_replayed":       "it was a copy of an earlier request",
	"use_dpop_nonce":       "the server asked for a fresh proof first",
	"stale_view":           "the server could not tell whether the task still runs",
	"task_ended":           "the task had ended",
	"task_suspended":       "the task was paused",
	"switched_off":         "an administrator has stopped it for now",
	"token_revoked":        "its token had been revoked",
	"bad_request":          "the request was not in order",
	"batch_refused":        "it put several calls into one message",
	"unknown_tool":         "the server has no such tool",
	"definition_changed":   "the tool has changed since you allowed it",
	"scope":                "it is outside what you allowed",
	"role":                 "your own roles at the server do not include it",
	"tool_not_granted":     "you did not allow this tool",
	"argument_limit":       "it went beyond the limits that you allowed",
	"condition":            "the server does not allow it at this time, from this place or to this app",
	"unknown_resource":     "it is nothing that the server lets be read",
	"tool_budget":          "the calls of this tool are used up",
	"task_budget":          "the calls of this task are used up",
	"budget_unavailable":   "its calls could not be counted",
	"log_unavailable":      "it could not be logged",
	"grant_unavailable":    "the server could not read what you had allowed",
	"replay_unavailable":   "the server could not tell whether it was a copy of an earlier request",
	"approval_required":    "each call of this tool needs your yes",
	"approval_denied":      "you did not allow this call",
	"too_many_approvals":   "you were being asked about too many calls already",
	"approval_too_large":   "it was too long for you to approve",
	"approval_unavailable": "you could not be asked about it",
}

// textBlockedOther stands for a code that a newer Guard may send.
const textBlockedOther = "the server refused it (%s)"
