package server

// What the console says of what else is done about ticked tasks.
const (
	textBlockDots     = "Block agent…"
	textBlockAgent    = "Block this agent"
	textBlockAgents   = "Block these %d agents"
	textBlockNote     = "A kill switch is thrown for each agent: all its tasks stop, of every user, and none can start. Nothing ends: it goes on when the switch is lifted or its time is over."
	textReconsentDots = "Require re-consent…"
	textReconsent     = "Require re-consent"
	textReconsentNote = "All that these users have lent to these agents ends, and what they let go on is forgotten: the next request asks them anew. They read the reason on their agents page."
	textLentNow       = "tasks that live: %d, choices that go on: %d"
)

// What the console says of findings that are no problem.
const (
	textNoProblem         = "Not a problem…"
	textDismiss           = "Not a problem"
	textDismissTitle      = "Is this finding no problem?"
	textDismissNote       = "It leaves the list of findings; the ledger keeps it, and who dismissed it and why. What a rule has suspended stays suspended."
	textFinding           = "Finding"
	textOpenFindings      = "Open findings"
	textDismissedFindings = "Dismissed findings"
	textDismissedBy       = "Not a problem, says %s, %s"
)

// What the console says of a key that was stolen.
const (
	textStolenKey    = "If one was stolen, choose it to kill it."
	textKillKey      = "Kill this key"
	textKillKeyTitle = "Kill this signing key?"
	textKillKeyNote  = "For a stolen key alone. Whatever it has signed is worth nothing from now on: here at once, at every Guard within a minute. Agents get new tokens for tasks that run; a new key signs, and the ledger is sealed anew."
	textNoWayBack    = "There is no way back"
	textRunningNow   = "Running tasks"
	textSignInToKill = "Sign in again to kill a key: this is done only within five minutes of signing in."
	textRetypeKey    = "The key is as it was. Go back and type %s."
)

// What the console says of the ledger as a whole, and of files that it writes.
const (
	textLedger       = "Ledger"
	textRecordsTitle = "Records, newest first"
	textNoRecords    = "There are no such records."
	textLookedAt     = "Of the records that this filter finds by an index, %d were looked at for this page; older ones follow."
	textKindOf       = "Kind, such as task.ended"
	textSize         = "Records"
	textHead         = "Head of the chain"
	textSealed       = "Sealed"
	textSealedOf     = "the first %d records"
	textLastSealed   = "Last sealed %s UTC"
	textNotSealed    = "Not sealed yet"
	textAltered      = "The ledger does not fit its newest seal: it was altered"
	textVerify       = "Verify"
	textVerifyNote   = "Here the newest seal is held against the chain. The command below checks every record, without trusting this server."
	textExportNote   = "Export what the filter finds, the newest %d rows at most, without values of arguments:"
	textExportsMany  = "That were many exports. Wait a little and try again."
)
