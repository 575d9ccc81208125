-- migrate:up

-- A team's own schema: its tables and functions get an API at once, for its namespace only.

-- Turn row-level security on for a new table in a team's schema, with a policy for its namespace.
-- The owner is not bound, so that the team works on all of its rows in SQL.
CREATE FUNCTION gate.guard_team_table() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    made record;
    ours text;
BEGIN
    FOR made IN
        SELECT d.objid, d.object_identity, n.nspname, c.relkind, c.relrowsecurity
        FROM pg_event_trigger_ddl_commands() d
        JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
        JOIN pg_namespace n ON n.oid = c.relnamespace
    LOOP
        SELECT t.namespace INTO ours FROM gate.team_schema t WHERE t.schema_name = made.nspname;
        CONTINUE WHEN NOT FOUND;
        IF made.relkind IN ('v', 'm', 'f') THEN
            -- A view runs as its owner, whom the policies of the tables do not bind.
            IF made.relkind <> 'v' OR NOT EXISTS (
                SELECT FROM pg_class c WHERE c.oid = made.objid
                AND c.reloptions && ARRAY['security_invoker=true', 'security_invoker=on',
                                          'security_invoker=1'])
            THEN
                RAISE EXCEPTION 'The view % would show rows past row-level security.',
                    made.object_identity
                    USING HINT = 'Make it WITH (security_invoker = true), on tables of the schema.',
                          ERRCODE = 'insufficient_privilege';
            END IF;
        ELSIF made.relkind IN ('r', 'p') THEN
            -- Only when it is off: this command comes through here as well.
            IF NOT made.relrowsecurity THEN
                EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', made.object_identity);
            END IF;
            IF NOT EXISTS (SELECT FROM pg_policy p
                           WHERE p.polrelid = made.objid AND p.polname = 'own_namespace') THEN
                -- Restrictive: a policy that the team adds can only narrow it.
                EXECUTE format(
                    'CREATE POLICY own_namespace ON %s AS RESTRICTIVE TO PUBLIC USING '
                    '((SELECT gate.namespace()) = %L) WITH CHECK ((SELECT gate.namespace()) = %L)',
                    made.object_identity, ours, ours);
                EXECUTE format('CREATE POLICY members ON %s TO web_user USING (true) '
                               'WITH CHECK (true)', made.object_identity);
            END IF;
        END IF;
    END LOOP;
    -- PostgREST looks at the schemas again.
    NOTIFY pgrst, 'reload schema';
END $$;

CREATE FUNCTION gate.tell_postgrest() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    NOTIFY pgrst, 'reload schema';
END $$;

REVOKE ALL ON FUNCTION gate.guard_team_table(), gate.tell_postgrest() FROM PUBLIC;
CREATE EVENT TRIGGER guard_team_table ON ddl_command_end EXECUTE FUNCTION gate.guard_team_table();
CREATE EVENT TRIGGER tell_postgrest_of_drops ON sql_drop EXECUTE FUNCTION gate.tell_postgrest();

-- Make the schema TEAM for a namespace, owned by the role team_TEAM, which may sign in. Only an
-- administrator can; `ddt db new-schema` calls it and sets the password.
CREATE FUNCTION gate.new_schema(p_team text, p_namespace text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    owner_name text := 'team_' || p_team;
    shown text;
BEGIN
    IF p_team !~ '^[a-z][a-z0-9_]{0,39}$' OR p_team ~ '^(pg_|team_)'
       OR p_team IN ('api', 'gate', 'inventory', 'public', 'information_schema') THEN
        RAISE EXCEPTION 'A team''s schema cannot be called %.', quote_literal(left(p_team, 63))
            USING HINT = '1 to 40 lower-case letters, digits and underscores, a letter first; not '
                         'the name of a schema of the platform.', ERRCODE = 'invalid_name';
    END IF;
    IF NOT EXISTS (SELECT FROM inventory.profile p WHERE p.namespace = p_namespace) THEN
        RAISE EXCEPTION 'The inventory knows no namespace %.', quote_literal(left(p_namespace, 63))
            USING HINT = 'Make the namespace in PKaKey first, and wait for its events.',
                  ERRCODE = 'undefined_object';
    END IF;
    IF EXISTS (SELECT FROM gate.team_schema t
               WHERE t.schema_name = p_team AND t.namespace <> p_namespace) THEN
        RAISE EXCEPTION 'The schema % belongs to another namespace.', p_team
            USING HINT = 'Choose another name.', ERRCODE = 'duplicate_schema';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = owner_name) THEN
        EXECUTE format('CREATE ROLE %I LOGIN', owner_name);
    END IF;
    EXECUTE format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS',
                   owner_name);
    EXECUTE format('GRANT %I TO people_db_admin', owner_name);
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), owner_name);
    INSERT INTO gate.team_schema (schema_name, namespace) VALUES (p_team, p_namespace)
    ON CONFLICT DO NOTHING;
    EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I', p_team, owner_name);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO web_user', p_team);
    EXECUTE format('GRANT USAGE ON SCHEMA gate TO %I', owner_name);
    EXECUTE format('GRANT EXECUTE ON FUNCTION gate.namespace() TO %I', owner_name);
    -- What the team makes is in the API; what others make in its schema is not.
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I '
                   'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO web_user', owner_name, p_team);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I '
                   'GRANT USAGE ON SEQUENCES TO web_user', owner_name, p_team);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC',
                   owner_name);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I '
                   'GRANT EXECUTE ON FUNCTIONS TO web_user', owner_name, p_team);
    EXECUTE format('ALTER ROLE %I SET search_path = %I', owner_name, p_team);
    SELECT string_agg(s, ', ') INTO shown FROM (
        SELECT 'api' AS s
        UNION ALL (SELECT t.schema_name FROM gate.team_schema t ORDER BY t.schema_name)) AS x;
    -- PostgREST reads its list of schemas from here (its in-database configuration).
    EXECUTE format('ALTER ROLE authenticator IN DATABASE %I SET pgrst.db_schemas = %L',
                   current_database(), shown);
    NOTIFY pgrst, 'reload config';
    NOTIFY pgrst, 'reload schema';
    RETURN owner_name;
END $$;
REVOKE ALL ON FUNCTION gate.new_schema(text, text) FROM PUBLIC;

-- migrate:down
DO $$ BEGIN RAISE EXCEPTION 'Migrations only go forward: write a new one.'; END $$;
