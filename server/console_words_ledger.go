package server

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
