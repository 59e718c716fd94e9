package postgrestest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Template is a database that is prepared once per process and then given to test after test. To make
// a database takes longer than most tests do: one that a test has left is washed for the next.
type Template struct {
	Fill func(url string) error // prepares an empty database

	once sync.Once
	err  error
	name string
	mu   sync.Mutex
	free []string // databases as Fill left them
}

// URL returns the URL of a database as Fill leaves it, for this test alone. The test may write rows,
// but change no schema.
func (m *Template) URL(t testing.TB) string {
	t.Helper()
	s, err := server()
	if err == nil {
		m.once.Do(func() { m.err = m.prepare(s) })
		err = m.err
	}
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	var name string
	if n := len(m.free); n > 0 {
		name, m.free = m.free[n-1], m.free[:n-1]
	}
	m.mu.Unlock()
	if name == "" {
		name = newName()
		if err := s.create(name, m.name); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if wash(s.Database(name)) != nil {
			s.drop(name)
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.free = append(m.free, name)
	})
	return s.Database(name)
}

// keepSQL keeps the rows that Fill left, in a schema beside.
const keepSQL = `
CREATE SCHEMA washed;
DO $$
DECLARE t text; n bigint;
BEGIN
	FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
		EXECUTE format('SELECT count(*) FROM public.%I', t) INTO n;
		IF n > 0 THEN EXECUTE format('CREATE TABLE washed.%I AS TABLE public.%I', t, t); END IF;
	END LOOP;
END $$;`

// washSQL leaves the rows that Fill left and no others. Nobody is connected then, and no trigger
// minds.
const washSQL = `
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
SET session_replication_role = replica;
DO $$
DECLARE t text;
BEGIN
	FOR t IN SELECT c.relname FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
		WHERE s.nspname = 'public' AND (c.relkind = 'p' OR c.relkind = 'r' AND NOT c.relispartition) LOOP
		EXECUTE format('DELETE FROM public.%I', t);
	END LOOP;
	FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'washed' LOOP
		EXECUTE format('INSERT INTO public.%I OVERRIDING SYSTEM VALUE TABLE washed.%I', t, t);
	END LOOP;
END $$;`

func (m *Template) prepare(s *Server) error {
	m.name = newName()
	if err := s.create(m.name, "template1"); err != nil {
		return err
	}
	if err := m.Fill(s.Database(m.name)); err != nil {
		return err
	}
	return run(s.Database(m.name), keepSQL)
}

func wash(url string) error { return run(url, washSQL) }

func run(url, script string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.PgConn().Exec(ctx, script).ReadAll()
	return err
}
