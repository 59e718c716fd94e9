package postgrestest

import (
	"context"
	"sync"
	"testing"

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
	free []*copied // databases as Fill left them
}

// copied is a database made from a template, and a connection that knows its tables already.
type copied struct {
	name   string
	washer *pgx.Conn
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
	d, err := m.take(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.wash() != nil {
			d.washer.Close(context.Background())
			s.drop(d.name)
			return
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.free = append(m.free, d)
	})
	return s.Database(d.name)
}

// take is a free database, or a new one.
func (m *Template) take(s *Server) (*copied, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.free); n > 0 {
		d := m.free[n-1]
		m.free = m.free[:n-1]
		return d, nil
	}
	d := &copied{name: newName()}
	if err := s.create(d.name, m.name); err != nil {
		return nil, err
	}
	var err error
	d.washer, err = connect(s.Database(d.name))
	return d, err
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
	return do(s.Database(m.name), keepSQL)
}

func (d *copied) wash() error { return run(d.washer, washSQL) }
