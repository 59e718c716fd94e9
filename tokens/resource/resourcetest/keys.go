package resourcetest

import (
	"slices"

	"github.com/remit-auth/remit/tokens"
)

// Kill is an emergency: the key that has signed so far is stolen. Another takes its place, signs the
// news, and nothing that the former signed counts any more. It waits like EndTask.
func (i *Issuer) Kill() {
	i.t.Helper()
	i.mu.Lock()
	dead := i.key.ID()
	i.mu.Unlock()
	i.Rotate()
	i.mu.Lock()
	i.published = slices.DeleteFunc(i.published, func(k tokens.SigningKey) bool { return k.ID() == dead })
	i.mu.Unlock()
	i.tell(event{Kind: "key.killed", KID: dead})
}

// RaiseEpoch says that the server's database was restored from a backup: what was issued until now is
// dead. It waits like EndTask.
func (i *Issuer) RaiseEpoch() {
	i.t.Helper()
	i.restore(nil)
}

// Restore is RaiseEpoch by a backup whose ledger ends here: no checkpoint of the longer one is told in
// the new epoch.
func (i *Issuer) Restore(size int64, head string) {
	i.t.Helper()
	i.restore(&tokens.CheckpointClaims{Issuer: i.URL(), Size: size, Head: head, At: i.now()})
}

func (i *Issuer) restore(ledger *tokens.CheckpointClaims) {
	i.t.Helper()
	i.mu.Lock()
	i.epoch++
	e := event{Kind: "epoch.raised", Epoch: i.epoch, NotBefore: i.now().Unix(), ledger: ledger}
	i.mu.Unlock()
	i.tell(e)
}
