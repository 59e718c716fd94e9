package store_test

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
)

// TestHeaders pins what the chain hashes: ledgers that were written before must verify for ever.
func TestHeaders(t *testing.T) {
	r := store.Record{
		Instance: "ins_a", N: 2, At: time.UnixMicro(1_700_000_000_000_001).UTC(), Kind: "token.issued", Task: "tsk_a", User: "usr_a",
		Client: "cli_a", Agent: "jkt", Resource: "https://r.example", JTI: "at_a", Execution: "exe_a", Seq: 3,
	}
	if got, want := hex.EncodeToString(r.HeaderBytes()), "72656d69742d6c65646765722f310a06048280f2818389850605696e735f610c746f6b656e2e6973737565640574736b5f61057573725f6105636c695f61036a6b741168747470733a2f2f722e6578616d706c650461745f61056578655f61"; got != want {
		t.Errorf("a record of no request:\n%s, want\n%s", got, want)
	}
	r.Request = "req_a"
	if got, want := hex.EncodeToString(r.HeaderBytes()), "72656d69742d6c65646765722f320a06048280f2818389850605696e735f610c746f6b656e2e6973737565640574736b5f61057573725f6105636c695f61036a6b741168747470733a2f2f722e6578616d706c650461745f61056578655f61057265715f61"; got != want {
		t.Errorf("a record of a request:\n%s, want\n%s", got, want)
	}
}
