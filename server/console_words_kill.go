package server

import "github.com/remit-auth/remit/store"

// What the console says of kill switches, of who can call what, and of the ledger.
const (
	textKill         = "Kill switch"
	textKillNote     = "What is stopped here is refused until the switch is lifted or its time is over. Nothing ends: it then goes on by itself."
	textNoKills      = "Nothing is stopped, and nothing ever was."
	textStop         = "Stop"
	textForHowLong   = "For how long"
	textUntilLifted  = "Until it is lifted"
	textSubject      = "Task, client_id, domain, user or resource"
	textToolOnly     = "Tool, at that resource"
	textKillTitle    = "Stop: %s?"
	textKillNow      = "It is refused from now on, on every server and by every Guard. You can take it back at once."
	textKillTwo      = "It is refused once another admin has confirmed it, within 15 minutes."
	textWouldStop    = "These tasks stop"
	textNoTaskStops  = "No task stops; none can start there."
	textRetypeStop   = "%d tasks would stop now. Go back, reload the page, and type how many."
	textWhereStopped = "Where it is in force"
	textNobodyTold   = "No resource had to be told."
	textNotYet       = "not yet"
	textConfirmedBy  = "Confirmed by"
	textConfirm      = "Confirm"
	textConfirmNote  = "Another admin has asked to stop everything. With your word it is refused from now on."
	textLift         = "Lift"
	textLiftNote     = "What it held goes on at once, unless its own time is over."

	textKillDots     = "Kill switch…"
	textRunningTasks = "running tasks"
	textCallsHour    = "calls, last hour"
	textBlockedHour  = "blocked calls, last hour"
	textSlowest      = "from an end to the last server that refuses (p99 of the newest 60)"
	textCallsChart   = "Calls per minute, last 60 minutes"
	textCallsNote    = "The red part of a bar was blocked; the newest minute is at the right."
	textNoCallsHour  = "No call was made in the last hour."
	textEndsChart    = "How long ends took"
	textEndsNote     = "From an end to the last Guard that said it is in force; the newest of 60 is at the right."

	textWhoCan        = "Who can call what at %s"
	textSeeAccess     = "Who can call what"
	textMatrix        = "Who can call what"
	textMatrixUsers   = "Users, and clients that act for themselves"
	textMatrixRoles   = "Roles"
	textMatrixNote    = "By the policy and what is approved. Consent, task and limits are judged besides."
	textNobodyThere   = "Nobody holds a role here."
	textWouldIt       = "Would this call be allowed?"
	textWouldItNote   = "Judged check by check, as the server and the Guard would. Nothing is asked, issued or spent."
	textArgumentsJSON = "Arguments, as JSON (may be empty)"
	textWouldAllow    = "It would be allowed."
	textWouldRefuse   = "It would be refused: %s"
)

// textLevels names what a kill switch is for.
var textLevels = map[store.Level]string{
	store.LevelTask: "A task", store.LevelClient: "An agent", store.LevelDomain: "A domain of agents", store.LevelUser: "A user",
	store.LevelTool: "A tool", store.LevelResource: "A resource", store.LevelEverything: "Everything",
}

// textSwitchStates says where a kill switch stands.
var textSwitchStates = map[store.SwitchState]string{
	store.SwitchWaiting: "Waits for a second admin", store.SwitchThrown: "In force", store.SwitchLifted: "Lifted", store.SwitchVoid: "Never in force",
}
