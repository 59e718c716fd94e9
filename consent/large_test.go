package consent

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

// TestTooMuch: what no Guard could read is refused when the user decides, where fewer tools can be chosen,
// and not first when the code is redeemed; together with what a running task has already, too.
func TestTooMuch(t *testing.T) {
	long, err := json.Marshal(map[string]any{"query": map[string]any{"const": strings.Repeat("x", 4000)}})
	if err != nil {
		t.Fatal(err)
	}
	limits, err := tokens.ParseConstraints(long)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var res store.Resource
	offer := Offer{Default: time.Hour, Durations: []time.Duration{time.Hour}, rights: table{}}
	for i := range 400 {
		name := fmt.Sprintf("tool_%d", i)
		names = append(names, name)
		one := approved(t, name, `{"readOnlyHint":true}`)
		res.Tools = append(res.Tools, one)
		offer.Tools = append(offer.Tools, Tool{Detail: tokens.ToolDetail{Tool: name, Locations: []string{"https://r.example/mcp"}, Definition: one.Hash, Constraints: limits}})
	}
	decide := func(o Offer, names []string) (Granted, error) {
		return o.Decide(Decision{Tools: names, Duration: time.Hour}, store.User{ID: "usr_x"}, time.Unix(1e9, 0))
	}
	if _, err := decide(offer, names); !errors.Is(err, ErrTooMuch) {
		t.Errorf("all of it: %v", err)
	}
	first, err := decide(offer, names[:200])
	if err != nil {
		t.Fatalf("half of it: %v", err)
	}
	before, err := tokens.ParseGrant(first.Grant.Details)
	if err != nil {
		t.Fatal(err)
	}
	more := offer
	more.Extends = &Running{Task: first.Task, Grant: first.Grant, Before: before}
	if _, err := decide(more, names[200:]); !errors.Is(err, ErrTooMuch) {
		t.Errorf("the other half on top: %v", err)
	}
	if _, err := decide(more, names[200:220]); err != nil {
		t.Errorf("a little on top: %v", err)
	}
}
