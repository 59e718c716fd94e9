package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// lane is who numbers the ledger records that one connection writes: an instance of the ledger, held
// by the connection's session. Its transactions follow each other, so the next number is known here.
type lane struct {
	id   int32
	last int64 // number of the newest record
}

const laneKey = "remit.lane"

func laneOf(c *pgx.Conn) *lane {
	l, _ := c.PgConn().CustomData()[laneKey].(*lane)
	return l
}

// lanes is the class of the advisory locks on instances.
const lanes = 0x72656d69

const (
	freeLaneSQL = `SELECT id FROM instances WHERE pg_try_advisory_lock($1, id) LIMIT 1`
	addLaneSQL  = `INSERT INTO instances (name, created_at) VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) RETURNING id`
	holdLaneSQL = `SELECT pg_try_advisory_lock($1, $2)`
	lastSQL     = `SELECT GREATEST(last_n, COALESCE((SELECT MAX(n) FROM ledger_inbox WHERE instance = $1), 0)) FROM instances WHERE id = $1`
)

// claimLane finds an instance that no living connection holds, or makes one. The server gives the
// lock back when the session has ended, which is after its last transaction has.
func claimLane(ctx context.Context, c *pgx.Conn) error {
	var id int32
	err := c.QueryRow(ctx, freeLaneSQL, int32(lanes)).Scan(&id)
	for errors.Is(err, pgx.ErrNoRows) {
		held := false
		if err = c.QueryRow(ctx, addLaneSQL, newName()).Scan(&id); err == nil {
			err = c.QueryRow(ctx, holdLaneSQL, int32(lanes), id).Scan(&held)
		}
		if err == nil && !held { // somebody was quicker
			err = pgx.ErrNoRows
		}
	}
	l := &lane{id: id}
	if err == nil {
		err = c.QueryRow(ctx, lastSQL, id).Scan(&l.last)
	}
	if err != nil {
		return fmt.Errorf("postgres: no place in the ledger: %w", err)
	}
	c.PgConn().CustomData()[laneKey] = l
	return nil
}

func newName() string { return "ins_" + strings.ToLower(rand.Text()) }
