package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/remit-auth/remit/store"
)

// killed is a key that was killed, and what stands on its word.
type killed struct {
	ID          string `json:"kid"`
	Record      int64  `json:"record"`      // that tells of it
	Checkpoints int    `json:"checkpoints"` // that it had signed
	Confirmed   bool   `json:"confirmed"`   // another key has signed a longer ledger since
}

// String says it on a line.
func (k killed) String() string {
	text := fmt.Sprintf("key %s was killed (record %d): it had signed %d of the checkpoints", plain(k.ID), k.Record, k.Checkpoints)
	switch {
	case k.Checkpoints == 0:
		return text
	case k.Confirmed:
		return text + ", and another key a later one over all that they cover"
	}
	return text + ", and no other key has confirmed them"
}

// noteDeath remembers a record that tells of a killed key. The chain says it, not the key ring.
func (v *verifier) noteDeath(r store.Record) {
	var about struct {
		ID string `json:"kid"`
	}
	if r.Kind != "key.killed" || json.Unmarshal(r.Payload, &about) != nil || about.ID == "" {
		return
	}
	if _, known := v.deaths[about.ID]; !known {
		v.deaths[about.ID] = r.Seq
	}
}

// judgeKilled tells what the killed keys had signed. What such a key has signed of the time after its
// death is somebody else's work.
func (v *verifier) judgeKilled() {
	for _, kid := range slices.Sorted(maps.Keys(v.deaths)) {
		k := killed{ID: kid, Record: v.deaths[kid]}
		var reach, others int64
		for size, all := range v.statements {
			for _, s := range all {
				switch {
				case v.deaths[s.KeyID] == 0:
					others = max(others, size)
				case s.KeyID != kid:
				case size >= k.Record:
					v.problem(size, "%s: the checkpoint of %d records is signed by key %s, which was killed at record %d", s.from, size, kid, k.Record)
				default:
					k.Checkpoints++
					reach = max(reach, size)
				}
			}
		}
		k.Confirmed = k.Checkpoints > 0 && others >= reach
		v.report.Killed = append(v.report.Killed, k)
	}
}
