package server

import "github.com/remit-auth/remit/store"

// What the console says.
const (
	textConsole   = "Console"
	textOwnAgents = "Your agents"
	textTasks     = "Tasks"
	textFindings  = "Findings"
	textUsers     = "Users"
	textClients   = "Clients"
	textResources = "Resources"
	textKeys      = "Keys"

	textRoleTooLow = "Your console role does not allow this."
	textNoReason   = "Say why: the reason is kept in the ledger. Go back and fill it in."
	textNoneTicked = "Tick the tasks that are meant."
	textRetype     = "%d tasks would end now. Go back, reload the page, and type how many."

	textAnyResource = "Any resource"
	textLive        = "Live"
	textAnyState    = "Any state"
	textAnyKey      = "With or without a key"
	textBound       = "Key-bound"
	textNoTasks     = "There are no such tasks."
	textOneTask     = "1 task"
	textManyTasks   = "%d tasks"
	textNewestTasks = "%d of %s tasks, newest first"
	textNoSuchUser  = "There is no such user."

	textToolAmongAll = "A tool is looked for among live tasks, or those of one user or client. Choose “Live”, or name one of them."
	textRange        = "%d to %d of %d"
	textNewestOnly   = "The first %d; narrow the filter to see others."

	textNoPurpose   = "The agent did not say what for."
	textUnbound     = "Not key-bound"
	textUnderOther  = "under another task"
	textEnds        = "ends %s"
	textEndThis     = "End this task"
	textEndTree     = "End this task and %d under it"
	textEndTasks    = "End %d tasks"
	textSuspendThis = "Suspend"
	textResumeThis  = "Resume"
	textAct         = "Act on this task"
	textActNote     = "Its user reads the reason on their agents page."
	textWouldEnd    = "These tasks end"
	textReviewEnd   = "End the tasks listed here?"
	textReviewNote  = "They end everywhere, with all under them. What has ended stays ended; each user can allow a new task, and reads the reason on their agents page."
	textNothingEnds = "None of these tasks is live."
	textSeeTasks    = "See the tasks"

	textPropagation     = "Where the end is in force"
	textPropagationNote = "As the resources' Guards have acknowledged it."
	textInForce         = "in force after %s"
	textNotReached      = "not reached yet – a token there lives for another %d s"
	textExpiredThere    = "not reached, but its tokens have expired"
	textNoTokenThere    = "no token was alive there"
	textNoneTold        = "No resource had to be told."

	textTimeline     = "Timeline"
	textTimelineNone = "The ledger has no record of this task yet."
	textErasedRecord = "erased since"

	textDisable       = "Disable…"
	textDisableNow    = "Disable"
	textEnable        = "Enable"
	textEnableNote    = "New tasks may start again. What has ended stays ended."
	textDisableTitle  = "Disable %s?"
	textDisableUser   = "The user is signed out everywhere and cannot sign in; the tasks listed here end, and none can start."
	textDisableClient = "The tasks listed here end, and none can start."
	textDisableServer = "The tasks listed here end everywhere, and none that needs this resource can start. Its Guard goes on hearing and telling."
	textNoTaskEnds    = "No task ends; none can start."

	textEnabled      = "Enabled"
	textDisabled     = "Disabled"
	textRole         = "Change the console role"
	textRoleNote     = "Viewers see; revokers also end, suspend and disable; admins also resume, enable, approve and change roles."
	textSaveRole     = "Change the role"
	textSignInToGive = "Sign in again to give a right: this is done only within five minutes of signing in."
	textOwnRole      = "Nobody changes their own console role."
	textNoUsers      = "There are no such users."
	textNoClients    = "There are no such clients."
	textNoResources  = "There are no resources."
	textNoRoles      = "none"
	textSelfMade     = "Registered itself"
	textDocument     = "Describes itself at its URL"
	textAdminMade    = "Added by an admin"
	textNotEnrolled  = "No Guard yet"
	textGuard        = "Guard enrolled"
	textHeard        = "last heard %s"
	textToApprove    = "%d to approve"
	textTools        = "Tools"
	textWaiting      = "Waiting for approval"
	textWaitingNote  = "Until a tool is approved nobody can allow it. Who allowed the former definition is refused until they allow the new one."
	textGoneTools    = "No longer offered"
	textGoneNote     = "Approved once, and not among the tools that the server told of last. Nobody can allow them; what the server offers again under the same definition needs no new approval."
	textGone         = "Gone"
	textNew          = "New"
	textChanged      = "Changed"
	textApprovedTool = "Approved"
	textApprove      = "Approve what the server offers now"
	textNoTools      = "The manifest has no tools."
	textKeyNote      = "Keys are sealed at rest; a former key goes on verifying what it signed."
	textRotate       = "Rotate the signing key"
	textRotateNote   = "A new key signs from now on. No valid token is refused."
	textAt           = "%s at %s"
)

// textConsoleStates is how the console names a task's state.
var textConsoleStates = map[store.TaskState]string{
	store.TaskPending: "Starting", store.TaskActive: "Running", store.TaskSuspended: "Suspended",
	store.TaskCompleted: "Completed", store.TaskRevoked: "Revoked", store.TaskExpired: "Expired",
}

// textBy names who moves tasks.
var textBy = map[store.Actor]string{
	store.ByUser: "its user", store.ByAdmin: "an admin", store.ByRevoker: "a revoker", store.ByRule: "a rule",
	store.ByAgent: "its agent", store.ByIdle: "idleness", store.ByClock: "the clock", store.ByServer: "the server", store.BySwitch: "a kill switch",
}

// textWhy says why a task ended or sleeps, where the server itself gives the reason.
var textWhy = map[string]string{
	reasonByUser: "by its user", reasonSignedOut: "its user signed out at the provider", "deadline": "time ran out", "budget": "its calls were used up", "not_redeemed": "never started",
	"refresh token revoked": "by its agent", "refresh_reuse": "its refresh token was used twice", "code_reuse": "its code was used twice",
	"user_disabled": "the user was disabled", "client_disabled": "the client was disabled", "resource_disabled": "the resource was disabled",
	store.ReasonSwitch: "", "paused by the user": "", "paused by the agent": "",
	"idle": "unused for 30 min", ruleWrongKey: "its token was copied", ruleReplay: "a request was replayed", ruleBurst: "many refused calls",
}

// textRules says of each rule what it saw.
var textRules = map[string]string{
	ruleWrongKey: "Somebody used a copy of its token with another key.",
	ruleReplay:   "A request of it was sent a second time.",
	ruleBurst:    "Ten of its calls were refused within a minute.",
}

const (
	textRuleFired    = "A rule suspended a task"
	textDisputed     = "A Guard told what the server cannot vouch for"
	textOtherFinding = "A finding: %s"
)

// textFindingKinds are title and explanation of the findings, by their kind.
var textFindingKinds = map[string][2]string{
	"finding.code_of_another_client":       {"A stolen authorization code?", "A code was presented by a client that it was not made for. Nothing was consumed."},
	"finding.code_with_another_key":        {"A stolen authorization code?", "A code was presented with another key than its own. Nothing was consumed."},
	"finding.refresh_of_another_client":    {"A stolen refresh token?", "A refresh token was presented by another client. Nothing was consumed."},
	"finding.refresh_with_another_key":     {"A stolen refresh token?", "A refresh token was presented with another key than its own. Nothing was consumed."},
	"finding.exchange_by_another_client":   {"A stolen access token?", "A client tried to work in a task of another client, which its policy does not name. Nothing was issued."},
	"finding.device_of_another_client":     {"A stolen device code?", "A device code was presented by a client that it was not made for. Nothing was consumed."},
	"finding.device_with_another_key":      {"A stolen device code?", "A device code was presented with another key than its own. Nothing was consumed."},
	kindUnrecorded:                         {"A call that is not recorded", "A Guard had a record of it that this server refused, and keeps that in the folder quarantine of its state directory. Find out what was called, and why it was refused"},
	kindPanicked:                           {"A defect of this server", "A request made it panic, and was refused. The log tells what happened, under the request’s name"},
	"finding.revocation_by_another_client": {"A stolen token?", "A client asked to revoke a token that is not its own. Nothing was revoked."},
}

// textRecords tells the ledger's kinds of record on a task's timeline.
var textRecords = map[string]string{
	"task.created": "The task was made", "token.issued": "A token was issued", "token.refreshed": "A token was refreshed",
	"token.revoked": "A token was revoked", "task.suspended": "Suspended", "task.resumed": "Resumed", "task.ended": "Ended",
	"switch.thrown": "A kill switch was thrown", "switch.lifted": "A kill switch was lifted",
	"findings.dismissed": "A finding was dismissed", "consent.required": "The user is to be asked anew", "console.ended": "ended the task", "console.suspended": "suspended the task", "console.resumed": "resumed the task",
	"consent.allowed": "allowed", "consent.denied": "allowed nothing",
	"call.reserved": "A call was counted", "task.widened": "The task got more", "task.delegated": "The task was handed on",
	"approval.asked": "The user was asked about a call", "approval.allowed": "The user allowed a call", "approval.denied": "The user did not allow a call",
	"approval.spent": "An allowed call was used", "approval.expired": "Nobody answered in time about a call", "approval.void": "A call does not wait any more",
}

// textBlockedConsole says why a call was blocked, where the user's own words would mislead.
var textBlockedConsole = map[string]string{
	"definition_changed": "the tool has changed since the user allowed it",
	"role":               "the user’s roles at the server do not include it",
	"tool_not_granted":   "the user did not allow this tool",
	"argument_limit":     "it went beyond the limits that the user allowed",
	"condition":          "a condition of the server's policy did not hold",
	"unknown_resource":   "it is nothing that the server's policy lets be read",
	"approval_required":  "each call of this tool needs the user’s yes",
}
