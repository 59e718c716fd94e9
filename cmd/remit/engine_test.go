package main_test

import (
	"database/sql"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver for the tests' own look at the database

	"github.com/remit-auth/remit/store/postgres/postgrestest"
)

var engine = flag.String("engine", "sqlite", "where the servers of these tests keep their memory: sqlite, postgres, or pair: two instances with PostgreSQL and Redis")

// engineEnv are the settings of a server that keeps its memory where the tests were told.
func engineEnv(t *testing.T) []string {
	t.Helper()
	if *engine == "sqlite" {
		return nil
	}
	return []string{"REMIT_DATABASE_URL=" + postgrestest.URL(t)}
}

// databaseURL is the PostgreSQL database of the server; empty: it has a file.
func (p *process) databaseURL() string {
	for _, pair := range slices.Backward(p.env) { // the last counts
		if url, ok := strings.CutPrefix(pair, "REMIT_DATABASE_URL=postgres"); ok {
			return "postgres" + url
		}
	}
	return ""
}

// behind runs a statement in the database behind the server's back, and returns how many rows it changed.
func (p *process) behind(t *testing.T, statement string) int64 {
	t.Helper()
	n, err := p.exec(statement)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// try is behind, for what the database may refuse.
func (p *process) try(statement string) error {
	_, err := p.exec(statement)
	return err
}

func (p *process) exec(statement string) (int64, error) {
	driver, name := "sqlite", filepath.Join(p.dir, "remit.db")+"?_pragma=busy_timeout(5000)"
	if url := p.databaseURL(); url != "" {
		driver, name = "pgx", url
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	result, err := db.Exec(statement)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// below is a statement that runs below what the database guards.
func (p *process) below(t *testing.T, statement string) string {
	t.Helper()
	if p.databaseURL() != "" {
		return "SET session_replication_role = replica; " + statement
	}
	db, err := sql.Open("sqlite", filepath.Join(p.dir, "remit.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var drop string
	if err := db.QueryRow("SELECT coalesce(group_concat('DROP TRIGGER ' || name || '; ', ''), '') FROM sqlite_master WHERE type = 'trigger'").Scan(&drop); err != nil {
		t.Fatal(err)
	}
	return drop + statement
}

// falsify changes a word in a stored record, below what the database guards.
func (p *process) falsify(t *testing.T, was, is string) {
	t.Helper()
	if p.databaseURL() != "" {
		n := p.behind(t, fmt.Sprintf(`SET session_replication_role = replica;
UPDATE ledger SET payload = replace(payload, '%s', '%s') WHERE seq = (SELECT min(seq) FROM ledger WHERE payload LIKE '%%%[1]s%%')`, was, is))
		if n != 1 {
			t.Fatal("the record to falsify was not found")
		}
		return
	}
	path := filepath.Join(p.dir, "remit.db")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(raw), was, is) // pages that are free again hold copies too
	if changed == string(raw) {
		t.Fatal("the record to falsify was not found")
	}
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}

// rows is everything in the server's PostgreSQL database, as text.
func (p *process) dump(t *testing.T) (all []byte) {
	t.Helper()
	db, err := sql.Open("pgx", p.databaseURL())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tables string
	err = db.QueryRow(`SELECT string_agg(format('SELECT t::text FROM %I t', tablename), ' UNION ALL ') FROM pg_tables WHERE schemaname = 'public'`).Scan(&tables)
	if err != nil {
		t.Fatal(err)
	}
	found, err := db.Query(tables)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
		var row string
		if err := found.Scan(&row); err != nil {
			t.Fatal(err)
		}
		all = append(append(all, row...), '\n')
	}
	return all
}
