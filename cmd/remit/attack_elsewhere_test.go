package main_test

// elsewhere are the tests that play a row of the catalogue from inside a package, or with a browser or a
// fault that the black-box client has not, and why: folder.Test, one or more.
var elsewhere = map[string]struct{ tests, why string }{
	"RM4":  {"tokens/resource.TestRM4NothingInTheToken", "no issuer that runs issues such a token"},
	"RM9":  {"tokens/resource/policy.TestDecideAgainstOracle server.TestIntersectionOfRights", "a million cases of a pure function"},
	"AU2":  {"tokens/resource.TestUnfinishedExecution", "the killed process is an MCP server's own"},
	"AU8":  {"store/memory.TestClockSetBack store/redis.TestClockJump", "no client sets the server's clock"},
	"RC6":  {"store/postgres.TestStartTogether", "five starts on an empty database, before there is a server to ask"},
	"FT5":  {"cmd/remit/chaos.TestChaos", "played by the clients of chaos against the binary, for longer than a row may take"},
	"FT6":  {"store/postgres.TestPartitions cmd/remit/chaos.TestChaos", "played by the clients of chaos against the binary, for longer than a row may take"},
	"FT7":  {"cmd/remit/chaos.TestChaos", "a binary whose clock is off is built for chaos alone"},
	"FT8":  {"store/memory.TestClockSetBack store/redis.TestClockJump", "no client sets the server's clock"},
	"FT9":  {"cmd/remit.TestStopDropsNothing", "who was accepted is known inside alone"},
	"FT10": {"cmd/remit/chaos.TestChaos", "played by the clients of chaos against the binary, for longer than a row may take"},
	"FT15": {"store/postgres.TestPoolExhausted", "no client can hold a connection to the database"},
	"TK10": {"cmd/remit.TestAttackPAR", "there is no code without a challenge: PR4"},
}

// leftOut are the rows that no test plays, and why.
var leftOut = map[string]string{
	"FT14": "a handler that panics needs a hook in the binary; net/http keeps the process alive",
	"FT16": "a rolling upgrade needs a former release: there is none yet",
	"RX19": "a soak of 24 hours runs apart from the tests",
}
