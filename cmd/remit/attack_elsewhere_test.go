package main_test

// elsewhere are the tests that play a row of the catalogue from inside a package, or with a browser
// or a fault that the black-box client has not: folder.Test, one or more.
var elsewhere = map[string]string{
	"TX7": "server.TestAttackExchange", "TX8": "server.TestAttackExchange",
	"RV8": "server.TestSubAgent store/sqlite.TestStore", "IN5": "server.TestRevocationTellsTheTruth",
	"RG1": "server.TestRG1Closed", "RG2": "server.TestRegistrationRefuses", "RG3": "server.TestRegisteredClientIsUnverified server.TestRegistrationRefuses",
	"RG4": "server.TestRegistrationRefuses", "RG5": "server.TestRegistrationRefuses", "RG6": "server.TestRegistrationRefuses", "RG7": "server.TestRG7SameDocumentTwice",
	"RG8": "server.TestRG8RG9NothingIsChosenOrChanged", "RG9": "server.TestRG8RG9NothingIsChosenOrChanged", "RG10": "server.TestRegistrationRefuses",
	"CM1": "server.TestCM1ClientIDsThatAreNotFetched server/fetch.TestCheck", "CM2": "server.TestCM2DocumentsThatAreNotValid",
	"CM3": "server.TestCM3SpecialAddresses server/fetch.TestNothingConnectsToSpecialAddresses", "CM4": "server.TestCM6AnswersThatAreNotDocuments server/fetch.TestBadAnswers",
	"CM5": "server.TestCM1ClientIDsThatAreNotFetched", "CM6": "server.TestCM6AnswersThatAreNotDocuments server/fetch.TestBadAnswers", "CM7": "server.TestCM1ClientIDsThatAreNotFetched",
	"CM8": "server.TestCM6AnswersThatAreNotDocuments", "CM9": "server.TestCM9KeysThatChange server.TestCM9RedirectsThatChange", "CM10": "server.TestCM2DocumentsThatAreNotValid",
	"CM11": "server.TestCM11FloodOfHosts server/fetch.TestBoundedConcurrency", "CM12": "server.TestCM12Certificates", "CM13": "server.TestCM13LogosAreNotLoaded",
	"CS1": "server.TestConsentShowsWhoWhatAndHowLong", "CS2": "web.TestHostileTextChangesNoElement web.TestGolden", "CS3": "web.TestPlain web.TestHostileTextChangesNoElement",
	"CS4": "cmd/remit.TestBrowserConsent", "CS5": "server.TestConsentFormBelongsToItsPage", "CS6": "server.TestConsentShowsWhoWhatAndHowLong", "CS7": "server.TestConsentShowsWhoWhatAndHowLong web.TestPolicyHolds",
	"CS8": "server.TestDeny", "CS9": "server.TestConsentCountsOnce", "CS10": "server.TestChangeBetweenShowingAndAllowing", "CS11": "server.TestConsentFormBelongsToItsPage", "CS12": "cmd/remit.TestBrowserEndNow server.TestEndNow",
	"LG1": "server.TestSessionCookie", "LG2": "server.TestSignIn", "LG3": "server.TestUpstreamAnswerOfAnotherBrowser", "LG4": "server.TestUpstreamForgeries", "LG5": "server.TestSignIn",
	"LG6": "server.TestSignIn server.TestStrangersLockNobodyOut server.TestCodesAreTriedSlowly server.TestHeldOutIsToldTheSame", "LG7": "server.TestDisabledUserGetsNothing", "LG8": "server.TestSignOut", "LG9": "server.TestForwardedForIsNotBelieved",
	"AD1": "server.TestAdminMatrix server.TestConsoleMatrix", "AD2": "server.TestConsoleUnknownIDs", "AD4": "server.TestConsoleKillSwitches cmd/remit.TestBrowserAdminEnd", "AD5": "server.TestConsoleHalfDone",
	"AD6": "server.TestConsoleForgery", "AD7": "server.TestConsoleTellsNoSecret", "AD8": "server.TestConsoleRoleIsLive", "AD9": "server.TestConsoleStrangersText", "AD10": "server.TestConsoleLastAdmin",
	"RS13": "tokens/resource/mcpauth.TestStreamEndsWithItsTask", "RS14": "tokens/resource/redisreplay.TestReplicas", "RS15": "tokens/resource.TestRS15NoFeed", "RS16": "tokens/resource.TestIntrospectionIsBound",
	"RM1": "tokens/resource.TestRM1ToolWithoutScope", "RM2": "tokens/resource.TestRefusedByRole cmd/remit.TestScenario4RoleTooBroad", "RM3": "tokens/resource.TestRM3Arguments", "RM4": "tokens/resource.TestRM4NothingInTheToken",
	"RM5": "tokens/resource.TestRM5ReadScopeOnAWrite", "RM6": "tokens/resource.TestRM6UnknownTool", "RM7": "tokens/resource.TestRM7RM8ReloadPolicy", "RM8": "tokens/resource.TestReloadUnderLoad", "RM9": "tokens/resource/policy.TestDecideAgainstOracle server.TestIntersectionOfRights",
	"AU1": "server.TestOneRecordPerAction", "AU2": "tokens/resource.TestUnfinishedExecution", "AU3": "cmd/remit.TestVerifyFindsMutations cmd/remit.TestVerify", "AU4": "server.TestSecretsAreNotStored", "AU5": "server.TestLogInjection",
	"AU6": "store/postgres.TestPair", "AU7": "store/sqlite.TestLedgerTriggers", "AU8": "store/memory.TestClockSetBack store/redis.TestClockJump", "AU9": "server.TestExecutionLimits",
	"RC3": "server.TestConsentCountsOnce", "RC4": "store/sqlite.TestStore", "RC5": "server.TestOneFetchServesAll", "RC6": "store/postgres.TestStartTogether", "RC7": "server.TestRotateAtOnce",
	"FT1": "cmd/remit/chaos.TestChaos", "FT2": "store/postgres.TestReadOnly", "FT3": "store/redis.TestGone cmd/remit/chaos.TestChaos", "FT4": "store/redis.TestFull store/redis.TestEviction", "FT5": "cmd/remit/chaos.TestChaos",
	"FT6": "store/postgres.TestPartitions cmd/remit/chaos.TestChaos", "FT7": "cmd/remit/chaos.TestChaos", "FT8": "store/memory.TestClockSetBack store/redis.TestClockJump", "FT9": "cmd/remit.TestStopDropsNothing", "FT10": "cmd/remit/chaos.TestChaos",
	"FT11": "store/sqlite.TestDiskFull", "FT12": "store/sqlite.TestKill store/sqlite.TestLocked", "FT13": "cmd/remit.TestStartRefuses", "FT15": "store/postgres.TestPoolExhausted",
	"RX7": "cmd/remit.TestSlowClientsAreClosed cmd/remit.TestConnectionsAreCapped", "RX9": "server.TestRegistrationIsBounded server.TestUnusedClientsAreForgotten",
	"DV1": "server.TestDeviceRefusals", "DV2": "server.TestDeviceRefusals server.TestGrantsRefuse", "DV3": "server.TestDeviceFlow", "DV4": "server.TestDeviceFlow", "DV5": "server.TestDeviceRace", "DV6": "server.TestDeviceRefusals",
	"JB1": "server.TestIDJAG", "JB2": "server.TestIDJAG", "JB3": "server.TestIDJAG", "JB4": "server.TestIDJAG", "JB5": "server.TestWorkload",
	"SU1": "server.TestStepUpRefused", "SU2": "server.TestApprovalOnlyByItsUser cmd/remit.TestApprovalAttacks", "SU3": "server.TestApprovalIsExact cmd/remit.TestApprovalAttacks", "SU4": "server.TestApprovalRace", "SU5": "server.TestApprovalRace",
	"RX1": "server/oauth.TestParseBodyRefuses", "RX2": "cmd/remit.TestConnectionsAreCapped", "RX3": "tokens.TestParseDetailsRefuses", "RX4": "server/oauth.TestScopes", "RX5": "tokens.TestCheckJSONLinear tokens.TestCheckJSON", "RX6": "server/oauth.TestParseBodyRefuses",
	"RX12": "server.TestAddressesAreLimited", "RX14": "server.TestIntrospection", "RX16": "tokens.TestStrictUnmarshal tokens.TestCheckJSON", "RX18": "server.TestRefusalsAreCountedByRoute", "FT17": "server.TestEpoch",
	"AD3": "server.TestAdminMatrix server.TestConsoleMatrix", "TK7": "cmd/remit.TestAttackTime", "TK10": "cmd/remit.TestAttackPAR",
	"RX11": "store/memory.TestFlood tokens/resource.TestProofFlood", "RX13": "server.TestSignIn",
}

// leftOut are the rows that no test plays, and why.
var leftOut = map[string]string{
	"FT14": "a handler that panics needs a hook in the binary; net/http keeps the process alive",
	"FT16": "a rolling upgrade needs a former release: there is none yet",
	"RX8":  "answered by the Go version: rapid reset and CONTINUATION floods are bounded in net/http",
	"RX10": "a figure, not an answer: docs/performance.md tells what a refused proof costs",
	"RX15": "a figure, not an answer: key set and metadata are made once and served from memory",
	"RX17": "holds by construction: every pattern is RE2, which is linear",
	"RX19": "a soak of 24 hours runs apart from the tests",
}
