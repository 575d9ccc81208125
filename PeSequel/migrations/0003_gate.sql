-- migrate:up
SET LOCAL ROLE gate_owner;

-- Who a request speaks for. PostgREST has checked the token's signature and times and puts its
-- claims into `request.jwt.claims`. Three things are missing then, and stand here:
--
-- 1. `check_request` (PostgREST's db-pre-request) checks issuer and audience. PostgREST 12 takes a
--    token that has no `aud` at all, and does not look at `iss`.
-- 2. A setting can be changed by any function that a team writes into its own schema. So
--    `check_request` takes an advisory lock whose key is a secret hash over the claims and this
--    transaction; `claims` believes only claims whose lock is held. Nobody can release or forge it.
-- 3. Claims count only on PostgREST's own connection, not in a person's SQL session.

CREATE TABLE gate.secret (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    -- Random: 244 bits from the server's strong source.
    value text NOT NULL DEFAULT gen_random_uuid()::text || gen_random_uuid()::text
);
INSERT INTO gate.secret DEFAULT VALUES;

-- The issuers whose tokens are taken; `python -m pesequel migrate` writes them. None: no token.
CREATE TABLE gate.issuer (issuer text PRIMARY KEY CHECK (issuer <> ''));

-- The teams' schemas (0006_teams.sql) and whose they are.
CREATE TABLE gate.team_schema (schema_name text PRIMARY KEY, namespace text NOT NULL);

CREATE FUNCTION gate.lock_key(p_what text) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT ('x' || left(encode(sha256(convert_to(
        concat_ws('|', s.value, pg_backend_pid(), extract(epoch FROM now()), p_what), 'UTF8')),
        'hex'), 16))::bit(64)::bigint
    FROM gate.secret s
$$;

CREATE FUNCTION gate.is_locked(p_key bigint) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog AS $$
    SELECT EXISTS (
        SELECT FROM pg_locks l
        WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid() AND l.granted AND l.objsubid = 1
          AND ((l.classid::bigint << 32) | l.objid::bigint) = p_key)
$$;

-- The verified claims of this transaction, or null.
CREATE FUNCTION gate.claims() RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    raw text := current_setting('request.jwt.claims', true);
BEGIN
    IF session_user <> 'authenticator' OR coalesce(raw, '') = ''
       OR NOT gate.is_locked(gate.lock_key('claims' || raw)) THEN
        RETURN NULL;
    END IF;
    RETURN raw::jsonb;
END $$;

CREATE FUNCTION gate.words(p_claims jsonb, p_name text) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT CASE jsonb_typeof(p_claims -> p_name)
        WHEN 'string' THEN string_to_array(p_claims ->> p_name, ' ')
        WHEN 'array' THEN ARRAY(SELECT jsonb_array_elements_text(p_claims -> p_name))
        ELSE '{}'::text[] END
$$;

-- The rules of PKaKey (services/principals): these roles read; these read the audit log too. A
-- token that names permissions in its scope (they have a colon) has these and no more.
CREATE FUNCTION gate.may(p_claims jsonb, p_permission text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $$
DECLARE
    roles text[] := gate.words(p_claims, 'roles');
    scope text[] := gate.words(p_claims, 'scope');
    readers text[] := CASE p_permission
        WHEN 'data:read' THEN ARRAY['pki-admin', 'pki-officer', 'pki-auditor', 'pki-requester']
        WHEN 'audit:read' THEN ARRAY['pki-admin', 'pki-officer', 'pki-auditor']
        ELSE '{}'::text[] END;
    is_scoped boolean := cardinality(roles) = 0
        OR EXISTS (SELECT FROM unnest(scope) AS s WHERE s LIKE '%:%');
BEGIN
    IF is_scoped AND NOT ('data:read' = ANY (scope) AND p_permission = ANY (scope)) THEN
        RETURN false;
    END IF;
    RETURN cardinality(roles) = 0 OR roles && readers;
END $$;

CREATE FUNCTION gate.namespace() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT c ->> 'namespace' FROM gate.claims() AS c
$$;
COMMENT ON FUNCTION gate.namespace() IS
    'The namespace of the verified token, for policies on a team''s own tables; else null.';

CREATE FUNCTION gate.reads_namespace() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT c ->> 'namespace' FROM gate.claims() AS c WHERE gate.may(c, 'data:read')
$$;

CREATE FUNCTION gate.audits_namespace() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT c ->> 'namespace' FROM gate.claims() AS c WHERE gate.may(c, 'audit:read')
$$;

-- A person in a SQL session of their own: by whom they signed in as, which SET ROLE cannot change.
CREATE FUNCTION gate.reads_all() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT session_user <> 'authenticator' AND pg_has_role(session_user, 'people_auditor', 'USAGE')
$$;

CREATE FUNCTION gate.refuse(p_status text, p_message text, p_hint text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    -- PostgREST answers with the HTTP status that follows "PT".
    RAISE EXCEPTION USING ERRCODE = 'PT' || p_status, MESSAGE = p_message, HINT = p_hint;
END $$;

CREATE FUNCTION gate.check_claims(p_search_path text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    raw text := current_setting('request.jwt.claims', true);
    c jsonb;
    asked_schema text := trim(BOTH '" ' FROM split_part(p_search_path, ',', 1));
    owner_namespace text;
BEGIN
    IF session_user <> 'authenticator' THEN
        PERFORM gate.refuse('403', 'Only PostgREST asks here.', 'Use the data API.');
    END IF;
    IF gate.is_locked(gate.lock_key('checked')) THEN
        PERFORM gate.refuse('403', 'The claims of this request were checked before.',
                            'A request speaks for one token.');
    END IF;
    PERFORM pg_advisory_xact_lock_shared(gate.lock_key('checked'));
    c := nullif(raw, '')::jsonb;
    IF c IS NULL OR NOT c ? 'iss' AND NOT c ? 'sub' AND NOT c ? 'aud' THEN
        PERFORM gate.refuse('401', 'This address needs a token.',
            'Send "Authorization: Bearer TOKEN"; "ddt token create --jwt --scope data:read" makes one.');
    END IF;
    IF jsonb_typeof(c -> 'iss') IS DISTINCT FROM 'string'
       OR NOT EXISTS (SELECT FROM gate.issuer i WHERE i.issuer = c ->> 'iss') THEN
        PERFORM gate.refuse('401', 'The token''s issuer (iss) is not one that is taken here.',
                            'Get a token from this platform''s own sign-in.');
    END IF;
    IF NOT 'pesequel' = ANY (gate.words(jsonb_build_object('aud',
            CASE WHEN jsonb_typeof(c -> 'aud') = 'string' THEN jsonb_build_array(c -> 'aud')
                 ELSE c -> 'aud' END), 'aud')) THEN
        PERFORM gate.refuse('401', 'The token''s audience (aud) does not name "pesequel".',
                            'Ask for a token for the data API.');
    END IF;
    IF jsonb_typeof(c -> 'exp') IS DISTINCT FROM 'number' THEN
        PERFORM gate.refuse('401', 'The token never expires (exp is missing).',
                            'Get a token that ends.');
    END IF;
    IF jsonb_typeof(c -> 'sub') IS DISTINCT FROM 'string' OR c ->> 'sub' = ''
       OR jsonb_typeof(c -> 'namespace') IS DISTINCT FROM 'string'
       OR c ->> 'namespace' !~ '^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$' THEN
        PERFORM gate.refuse('403', 'The token names no person or program (sub) or no namespace.',
                            'Ask an administrator to put you into a namespace.');
    END IF;
    IF NOT gate.may(c, 'data:read') THEN
        PERFORM gate.refuse('403', 'The token does not permit data:read.',
            'People need a role that reads certificates; API tokens need the scope data:read.');
    END IF;
    IF asked_schema = 'api' AND current_setting('request.method', true) NOT IN
           ('GET', 'HEAD', 'OPTIONS')
       AND coalesce(current_setting('request.path', true), '') NOT LIKE '/rpc/%' THEN
        -- Nobody holds the right either; a view that PostgreSQL cannot write would answer 500.
        PERFORM gate.refuse('405', 'The inventory is read-only.',
                            'GET it. What changes a certificate is PKaKey''s REST API.');
    END IF;
    SELECT t.namespace INTO owner_namespace FROM gate.team_schema t
    WHERE t.schema_name = asked_schema;
    IF FOUND AND owner_namespace <> c ->> 'namespace' THEN
        PERFORM gate.refuse('403', 'That schema belongs to another namespace.',
                            'Ask for a schema of your own namespace in Accept-Profile.');
    END IF;
    PERFORM pg_advisory_xact_lock_shared(gate.lock_key('claims' || raw));
END $$;

-- The invoker's search_path holds the schema that the request asks for.
CREATE FUNCTION gate.check_request() RETURNS void LANGUAGE sql AS $$
    SELECT gate.check_claims(pg_catalog.current_setting('search_path'))
$$;

GRANT EXECUTE ON FUNCTION gate.check_request(), gate.check_claims(text) TO web_anon, web_user;
-- Policies run these as whoever asks.
GRANT EXECUTE ON FUNCTION gate.reads_namespace(), gate.audits_namespace(), gate.reads_all()
    TO api_owner, inventory_owner, web_user, people_auditor, people_db_admin;
GRANT EXECUTE ON FUNCTION gate.namespace() TO web_user, people_db_admin;

RESET ROLE;

-- migrate:down
DO $$ BEGIN RAISE EXCEPTION 'Migrations only go forward: write a new one.'; END $$;
