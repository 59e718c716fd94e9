package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/store"
	"github.com/remit-auth/remit/tokens"
)

type auditVerifyCmd struct {
	Database string   `help:"The database file (the settings')." placeholder:"FILE"`
	JWKS     string   `name:"jwks" help:"Public keys that checkpoints must be signed by; without it, the database's own under the master key." placeholder:"FILE"`
	Witness  []string `help:"Checkpoints that somebody else kept, such as a Guard's witness.jsonl." placeholder:"FILE"`
}

// report is what a verification found.
type report struct {
	OK          bool      `json:"ok"`
	Records     int64     `json:"records"` // that the chain has
	Head        string    `json:"head"`
	Checkpoints int       `json:"checkpoints"` // stored and good
	Sealed      int64     `json:"sealed"`      // records under the newest good one
	Witnesses   int       `json:"witnesses"`   // checkpoints of others that agree
	Unchained   int       `json:"unchained"`   // records that wait for their place
	Batches     int       `json:"batches"`     // of executions, that Guards signed
	Erased      int       `json:"erased"`      // payloads that are gone; the chain stands without them
	ClockBack   int       `json:"clock_back"`  // records a second or more before the one in front of them
	Killed      []killed  `json:"killed"`      // keys that were killed, and what they had signed
	Problems    []problem `json:"problems"`
}

// problem is something wrong, and the first record that it concerns.
type problem struct {
	Record int64  `json:"record"`
	Text   string `json:"problem"`
}

// Run verifies the ledger, and fails when anything is wrong.
func (c *auditVerifyCmd) Run(ctx context.Context, a *app) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if c.Database == "" {
		if err := cfg.here(); err != nil {
			return err
		}
	}
	if c.Database == "" && cfg.postgres() {
		c.Database = cfg.DatabaseURL
	}
	if c.Database == "" {
		if c.Database, err = cfg.database(); err != nil {
			return err
		}
	}
	db, err := openAudit(ctx, c.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	v := newVerifier()
	if v.keys, err = c.keys(ctx, cfg, db); err != nil {
		return err
	}
	for _, file := range c.Witness {
		if err := v.readWitness(file); err != nil {
			return err
		}
	}
	return c.show(a, v.verify(db))
}

// keys are those that checkpoints must be signed by.
func (c *auditVerifyCmd) keys(ctx context.Context, cfg Config, db audited) (tokens.KeySet, error) {
	if c.JWKS != "" {
		raw, err := os.ReadFile(c.JWKS)
		if err != nil {
			return tokens.KeySet{}, err
		}
		return tokens.ParseKeySet(raw)
	}
	if cfg.MasterKey == "" && len(cfg.MasterKeyURL) == 0 {
		path, _ := cfg.masterKeyPath()
		if _, err := os.Stat(path); err != nil {
			return tokens.KeySet{}, fmt.Errorf("give --jwks, or the master key that opens the database's own keys: %w", err)
		}
	}
	master, err := openMaster(ctx, cfg)
	if err != nil {
		return tokens.KeySet{}, err
	}
	sealed, err := db.Keys()
	if err != nil {
		return tokens.KeySet{}, err
	}
	return server.OpenKeys(ctx, sealed, master)
}

func (c *auditVerifyCmd) show(a *app, r report) error {
	if a.json {
		if err := writeJSON(a.out, r); err != nil {
			return err
		}
	} else {
		r.print(a)
	}
	if !r.OK {
		return errSilent
	}
	return nil
}

func (r report) print(a *app) {
	if r.OK {
		fmt.Fprintf(a.out, "OK %d records, head %s\n", r.Records, r.Head)
	} else {
		fmt.Fprintf(a.out, "BAD first at record %d: %s\n", r.Problems[0].Record, plain(r.Problems[0].Text))
		for _, p := range r.Problems[1:] {
			fmt.Fprintf(a.out, "    record %d: %s\n", p.Record, plain(p.Text))
		}
	}
	fmt.Fprintf(a.out, "%d checkpoints, the newest over %d records; %d checkpoints of witnesses agree\n", r.Checkpoints, r.Sealed, r.Witnesses)
	if r.Unchained > 0 {
		fmt.Fprintf(a.out, "%d records wait for their place in the chain\n", r.Unchained)
	}
	if r.Erased > 0 {
		fmt.Fprintf(a.out, "%d payloads are erased\n", r.Erased)
	}
	for _, k := range r.Killed {
		fmt.Fprintln(a.out, k)
	}
	if r.ClockBack > 0 {
		fmt.Fprintf(a.out, "the clock was set back %d times; the order of the records is that of their writing\n", r.ClockBack)
	}
}

// statement is a checkpoint that the chain must go through.
type statement struct {
	from string // who kept it
	tokens.CheckpointClaims
}

// verifier walks a ledger once.
type verifier struct {
	keys       tokens.KeySet
	report     report
	statements map[int64][]statement // by size
	issuer     string                // of the first checkpoint; all others must have it

	head    store.Hash
	at      time.Time        // of the last record
	numbers map[string]int64 // newest number by instance
	batches batches
	good    int64            // size of the newest checkpoint that the chain goes through
	deaths  map[string]int64 // records that tell of killed keys, by kid
}

func newVerifier() *verifier {
	return &verifier{report: report{Problems: []problem{}, Killed: []killed{}}, deaths: map[string]int64{}, statements: map[int64][]statement{}, numbers: map[string]int64{}}
}

func (v *verifier) problem(rec int64, format string, args ...any) {
	v.report.Problems = append(v.report.Problems, problem{rec, fmt.Sprintf(format, args...)})
}

// readWitness takes the checkpoints of a file: one a line, alone or as a Guard writes it. A last
// line that a crash tore is left out.
func (v *verifier) readWitness(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	found := 0
	for lines.Scan() {
		raw := bytes.TrimSpace(lines.Bytes())
		if len(raw) == 0 {
			continue
		}
		var sighting struct {
			Checkpoint string `json:"checkpoint"`
		}
		if raw[0] != '{' {
			sighting.Checkpoint = string(raw)
		} else if json.Unmarshal(raw, &sighting) != nil {
			continue
		}
		claims, err := v.keys.VerifyCheckpoint(sighting.Checkpoint)
		if err != nil {
			return fmt.Errorf("%s: a checkpoint that none of the keys signed: %w", name, err)
		}
		v.expect(statement{name, claims})
		found++
	}
	if found == 0 && lines.Err() == nil {
		return fmt.Errorf("%s holds no checkpoint", name)
	}
	return lines.Err()
}

func (v *verifier) expect(s statement) {
	if v.issuer == "" {
		v.issuer = s.Issuer
	}
	if s.Issuer != v.issuer {
		v.problem(s.Size, "%s: the checkpoint of %d records is of another issuer, %s", s.from, s.Size, s.Issuer)
		return
	}
	v.statements[s.Size] = append(v.statements[s.Size], s)
}

// stored is who kept the checkpoints of the database itself.
const stored = "database"

var errStop = errors.New("the chain is broken")

// verify walks the ledger of the database.
func (v *verifier) verify(db audited) report {
	v.readStored(db)
	err := db.Records(v.record)
	next := v.report.Records + 1
	if err != nil && !errors.Is(err, errStop) {
		v.problem(next, "it cannot be read: %v", err)
	}
	if v.report.Unchained, err = db.Unchained(); err != nil {
		v.problem(next, "what is not yet chained cannot be read: %v", err)
	}
	broken := len(v.report.Problems) > 0
	for size, all := range v.statements {
		for _, s := range all {
			if size > v.report.Records && !broken {
				v.problem(next, "%s: a checkpoint says %d records, and the ledger has %d", s.from, size, v.report.Records)
			}
		}
	}
	v.judgeKilled()
	v.judgeSaid()
	v.report.Head, v.report.Sealed = v.head.String(), v.good
	v.report.OK = len(v.report.Problems) == 0
	v.report.sort()
	return v.report
}

// readStored takes the checkpoints of the database: each signed, and saying what its row says.
func (v *verifier) readStored(db audited) {
	all, err := db.Checkpoints()
	if err != nil {
		v.problem(1, "the checkpoints cannot be read: %v", err)
		return
	}
	var last tokens.CheckpointClaims
	for i, c := range all {
		claims, err := v.keys.VerifyCheckpoint(c.Signed)
		switch {
		case err != nil:
			v.problem(last.Size+1, "checkpoint %d, of %d records, is not signed by any of the keys: %v", i+1, c.Size, err)
			continue
		case claims.Size != c.Size || claims.Head != c.Head.String() || !claims.At.Equal(c.At):
			v.problem(last.Size+1, "checkpoint %d says something else than it was signed for", i+1)
			continue
		case claims.Size < last.Size || claims.At.Before(last.At):
			v.problem(claims.Size+1, "checkpoint %d is of %d records after one of %d", i+1, claims.Size, last.Size)
			continue
		}
		last = claims
		v.expect(statement{stored, claims})
	}
}

// record checks one record against all before it.
func (v *verifier) record(r store.Record) error {
	want := v.report.Records + 1
	if text := v.recordProblem(r, want); text != "" {
		v.problem(want, "%s", text)
		return errStop
	}
	if r.At.Before(v.at.Add(-time.Second)) {
		v.report.ClockBack++
	}
	v.numbers[r.Instance], v.head, v.at, v.report.Records = r.N, r.Hash, r.At, want
	if r.Payload == nil {
		v.report.Erased++
	}
	v.noteDeath(r)
	v.noteSaid(r)
	for _, s := range v.statements[want] {
		if s.Head != v.head.String() {
			v.problem(v.good+1, "%s: the checkpoint of %d records has another hash: records %d to %d are not what they were", s.from, want, v.good+1, want)
			return errStop
		}
		if s.from == stored {
			v.report.Checkpoints++
		} else {
			v.report.Witnesses++
		}
	}
	if len(v.statements[want]) > 0 {
		v.good = want
	}
	return nil
}

// recordProblem says what is wrong with the record in this place; "" when nothing is.
func (v *verifier) recordProblem(r store.Record, want int64) string {
	switch {
	case r.Seq > want:
		return "it is missing"
	case r.Seq < want:
		return fmt.Sprintf("record %d stands here a second time", r.Seq)
	case r.N != v.numbers[r.Instance]+1:
		return fmt.Sprintf("it is number %d of instance %s after number %d", r.N, r.Instance, v.numbers[r.Instance])
	case r.Payload == nil && r.Salt == nil: // erased; its digest stands
	case r.Digest != r.PayloadDigest():
		return "its payload is not the one that was recorded"
	}
	if r.Hash != r.ChainHash(v.head) {
		return "its hash is not that of what it says and of the record before it"
	}
	return ""
}

// sort puts the problem of the earliest record first.
func (r *report) sort() {
	slices.SortStableFunc(r.Problems, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.Record, b.Record), strings.Compare(a.Text, b.Text))
	})
}
