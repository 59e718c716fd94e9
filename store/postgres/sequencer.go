package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/remit-auth/remit/store"
)

// Records are chained by one instance at a time. Who last did has the lease for a while, so that the
// others do not do the same work; what makes two at once impossible is the condition on the chain's
// head, under which a batch moves from the inbox into the ledger, in one statement.
const (
	sequenceBatch = 1000
	lease         = time.Second // how long nobody chains after the leader died
	partitionSize = 10_000_000  // places in a partition
)

const (
	headSQL      = `SELECT size, head FROM chain`
	chainSQL     = `SELECT size, head, room, leader, until FROM chain`
	unchainedSQL = `SELECT p.id, i.name, p.n, p.at, p.kind, p.task, p."user", p.client, p.agent, p.resource, p.jti, p.execution, p.request,
p.digest, p.payload FROM ledger_inbox p JOIN instances i ON i.id = p.instance ORDER BY p.id LIMIT $1`

	// $1 and $2 are the head as it was read, $3 and $4 what it becomes, $5 who, $6 until when, $7 now.
	sequenceSQL = `WITH placed AS (SELECT * FROM unnest($8::bigint[], $9::bytea[], $10::boolean[]) WITH ORDINALITY AS p (id, hash, refused, place)),
fence AS (
	UPDATE chain SET size = $3, head = $4, leader = $5, until = $6 WHERE size = $1 AND head = $2 AND (leader = $5 OR until <= $7)
	AND (SELECT count(*) FROM ledger_inbox WHERE id = ANY($8)) = cardinality($8::bigint[]) RETURNING 1),
moved AS (
	DELETE FROM ledger_inbox b USING placed p WHERE b.id = p.id AND EXISTS (SELECT 1 FROM fence) RETURNING b.*, p.hash, p.refused, p.place),
numbers AS (
	UPDATE instances i SET last_n = m.n FROM (SELECT instance, MAX(n) AS n FROM moved GROUP BY instance) m WHERE i.id = m.instance)
INSERT INTO ledger (seq, hash, instance, n, at, kind, task, "user", client, agent, resource, jti, execution, request, digest, payload, salt, refused)
SELECT $1 + place, hash, instance, n, at, kind, task, "user", client, agent, resource, jti, execution, request, digest, payload, salt, refused
FROM moved ORDER BY place`
)

// link is the chain's head as one look found it, and the records that come next.
type link struct {
	size, room int64
	head       []byte
	leader     string
	until      time.Time
	ids        []int64
	recs       []store.Record
	after      store.Hash // the head with them
	hashes     [][]byte
	refused    []bool
	now        time.Time
}

// Sequence gives every unchained record its place and hash. While another instance leads, which it
// does for a second after its last batch, this one leaves the work to it.
func (s *Store) Sequence(ctx context.Context) (total int, err error) {
	s.chain.Lock()
	defer s.chain.Unlock()
	for {
		l, err := s.nextLink(ctx)
		if err != nil {
			return total, err
		}
		if len(l.recs) == 0 || l.leader != s.name && l.until.After(l.now) {
			return total, nil
		}
		if err := s.makeRoom(ctx, l); err != nil {
			return total, err
		}
		n, err := s.append(ctx, l)
		if total += n; err != nil {
			return total, err
		}
		if n == 0 || n < sequenceBatch {
			return total, nil
		}
	}
}

// nextLink reads the head and what waits, and computes the chain.
func (s *Store) nextLink(ctx context.Context) (l *link, err error) {
	err = s.read(ctx, func(c *conn) error {
		l = &link{}
		c.askTime()
		c.ask(chainSQL, nil, func(scan func(...any) error) error {
			return scan(&l.size, &l.head, &l.room, &l.leader, at(&l.until))
		})
		c.ask(unchainedSQL, []any{sequenceBatch}, func(scan func(...any) error) error {
			var r store.Record
			var id int64
			var payload string
			err := scan(&id, &r.Instance, &r.N, at(&r.At), &r.Kind, &r.Task, &r.User, &r.Client, &r.Agent, &r.Resource,
				&r.JTI, &r.Execution, &r.Request, hash(&r.Digest), &payload)
			r.Payload = []byte(payload)
			l.ids, l.recs = append(l.ids, id), append(l.recs, r)
			return err
		})
		err := c.flush()
		l.now = c.when
		return err
	})
	if err != nil {
		return nil, err
	}
	copy(l.after[:], l.head)
	for i, r := range l.recs {
		r.Seq = l.size + int64(i) + 1
		l.after = r.ChainHash(l.after)
		h := l.after
		l.hashes, l.refused = append(l.hashes, h[:]), append(l.refused, refused(r))
	}
	return l, nil
}

// refused reports whether the record is of a decision that was no.
func refused(r store.Record) bool {
	var p struct {
		Decision string `json:"decision"`
	}
	return r.Kind == "execution.decided" && json.Unmarshal(r.Payload, &p) == nil && p.Decision == "refused"
}

// errInbox says that records which were read left the inbox in another way than into the ledger.
var errInbox = errors.New("postgres: records vanished before they were chained")

// append moves the records into the ledger if the head is still as it was read.
func (s *Store) append(ctx context.Context, l *link) (n int, err error) {
	err = s.again(ctx, func(until time.Time) error {
		return s.with(ctx, until, func(c *conn) error {
			moved, err := c.exec(sequenceSQL, l.size, l.head, l.size+int64(len(l.recs)), l.after[:], s.name,
				micros(l.now.Add(lease)), micros(l.now), l.ids, l.hashes, l.refused)
			if err == nil && moved != 0 && moved != int64(len(l.recs)) {
				err = errInbox
			}
			n = int(moved)
			return err
		})
	})
	return n, err
}

const abdicateSQL = `UPDATE chain SET leader = '', until = 0 WHERE leader = $1`

// abdicate lets another instance lead at once.
func (s *Store) abdicate() {
	ctx, cancel := context.WithTimeout(context.Background(), verbTimeout)
	defer cancel()
	s.read(ctx, func(c *conn) error { // if not, the lease runs out
		_, err := c.exec(abdicateSQL, s.name)
		return err
	})
}

const (
	holdChainSQL = `SELECT room FROM chain FOR UPDATE`
	widenSQL     = `UPDATE chain SET room = $1`
)

// makeRoom makes the next partition while the last one is at least half empty.
func (s *Store) makeRoom(ctx context.Context, l *link) error {
	size := s.opts.partition
	if size <= 0 {
		size = partitionSize
	}
	for l.room-l.size-int64(len(l.recs)) < size/2 {
		err := s.write(ctx, func(tx *tx) error {
			room := l.room
			if _, err := tx.one(holdChainSQL, nil, &l.room); err != nil || l.room != room {
				return err // another was quicker
			}
			name, until := fmt.Sprintf("ledger_%d", room+1), room+size
			tx.later(fmt.Sprintf(`CREATE TABLE %s (LIKE ledger INCLUDING ALL)`, name))
			tx.later(fmt.Sprintf(`ALTER TABLE ledger ATTACH PARTITION %s FOR VALUES FROM (%d) TO (%d)`, name, room+1, until+1))
			tx.later(widenSQL, until)
			if err := tx.flush(); err != nil {
				return err
			}
			l.room = until
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Head returns the chain's length and hash.
func (s *Store) Head(ctx context.Context) (size int64, head store.Hash, err error) {
	var raw []byte
	err = s.read(ctx, func(c *conn) error {
		c.ask(headSQL, nil, func(scan func(...any) error) error { return scan(&size, &raw) })
		return c.flush()
	})
	copy(head[:], raw)
	return size, head, err
}
