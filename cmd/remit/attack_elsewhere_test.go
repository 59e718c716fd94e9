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
	"FT14": {"server.TestPanics server.TestPanicHalfWay", "no client can make a handler panic: the store under it is made to"},
	"TK10": {"cmd/remit.TestAttackPAR", "there is no code without a challenge: PR4"},
}

// besides are tests of packages that prove what the black-box client proves of a row a part of.
var besides = map[string]string{
	"AD1":  "server.TestConsoleMatrix server.TestAdminMatrix",
	"AU3":  "cmd/remit.TestVerifyFindsMutations",
	"CA10": "server.TestCA10WrongSecretsDoTheSame server.BenchmarkWrongSecret",
	"FT15": "store/postgres.TestPoolExhausted store/postgres.TestSlowStore",
	"RX3":  "server.TestRX5Allocations server.BenchmarkHostileBodies",
	"RX5":  "server.TestRX5Allocations server.BenchmarkHostileBodies",
	"RX14": "server.TestRX14BadTokensReadNothing",
	"CA9":  "server.TestCA9OneReadingAMinute server.TestCA9UnknownKey server.TestTrustedKeysUnread",
	"CM3":  "server/fetch.TestNothingConnectsToSpecialAddresses server/fetch.TestRebindingDoesNotHelp",
	"CM6":  "server/fetch.TestBadAnswers",
	"CM11": "server/fetch.TestBoundedConcurrency",
	"RX9":  "server.TestUnusedClientsAreForgotten",
}

// notOn are the rows that an engine does not play, and why, by row and engine.
var notOn = map[string]map[string]string{
	"IN5":  {"sqlite": fileIsThere},
	"FT1":  {"sqlite": fileIsThere},
	"FT2":  {"sqlite": fileIsThere},
	"FT15": {"sqlite": fileIsOwn},
	"FT11": {"postgres": diskOfPostgres, "pair": diskOfPostgres},
	"FT12": {"postgres": aboutFiles, "pair": aboutFiles},
}

// Why an engine does not play a row.
const (
	fileIsOwn      = "a file is one process's own, which waits for nobody else"
	fileIsThere    = "a file has no server that could be away; what cannot be written is FT11"
	diskOfPostgres = "PostgreSQL's disk is filled by `cmd/remit/chaos.TestChaos`"
	aboutFiles     = "it is about a file; PostgreSQL is killed in `cmd/remit/chaos.TestChaos`"
)

// deviates are the rows whose right answer Remit does not give, and why.
var deviates = map[string]string{
	"CA9":  "while a client's key set gives no answer nobody knows whether its assertion is good: 503 with Retry-After, and not that the client is none",
	"RX14": "no memory of bad tokens is kept, as nothing would be saved: what Remit has not signed is refused without a look into the store, and an opaque token by one look for its key",
	"RF6":  "a task is one agent's: of a confidential client too the refresh token is bound to the agent's key, and another one is refused",
	"RG8":  "what was registered cannot be changed and no token for it is given out, so that there is no such endpoint: 404",
}

// leftOut are the rows that no test plays, and why.
var leftOut = map[string]string{
	"FT16": "a rolling upgrade needs a former release: there is none yet",
	"RX19": "a soak of 24 hours runs apart from the tests: `make soak SOAKFOR=24h`",
}
