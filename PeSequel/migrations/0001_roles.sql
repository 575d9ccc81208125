-- migrate:up

-- The roles of the cluster and the schemas of this database. Passwords are set by
-- `python -m pesequel migrate`, never here.
--
-- | role             | signs in | may |
-- | inventory_owner  | no       | own the schema `inventory`: the tables and what fills them |
-- | gate_owner       | no       | own the schema `gate`: who a token speaks for |
-- | api_owner        | no       | own the schema `api`; reads the inventory under row-level security |
-- | authenticator    | yes      | become web_anon or web_user, and nothing else (PostgREST) |
-- | web_anon         | no       | nothing: it is told to bring a token |
-- | web_user         | no       | what `api` grants, for the namespace of a verified token |
-- | inventory_writer | yes      | deliver events (PKaKey's relay) |
-- | people_auditor   | no       | group of people: read `api` in SQL, across namespaces |
-- | people_db_admin  | no       | group of people: see the schemas, own the teams' schemas; no certificates |
-- | pgadmin          | yes      | pgAdmin's server entry; a member of people_db_admin |
DO $$
DECLARE
    role_name text;
BEGIN
    -- Roles belong to the cluster: another database of it may have made them already.
    FOREACH role_name IN ARRAY ARRAY['inventory_owner', 'gate_owner', 'api_owner', 'web_anon',
        'web_user', 'people_auditor', 'people_db_admin'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        END IF;
        EXECUTE format('ALTER ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS',
                       role_name);
    END LOOP;
    FOREACH role_name IN ARRAY ARRAY['authenticator', 'inventory_writer', 'pgadmin'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', role_name);
        END IF;
        EXECUTE format(
            'ALTER ROLE %I LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS',
            role_name);
    END LOOP;
    ALTER ROLE pgadmin INHERIT;
    -- Who signs in may connect to this database; nobody else, and nobody may make temporary tables.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO authenticator, inventory_writer, pgadmin, people_auditor, '
        'people_db_admin', current_database());
END $$;

GRANT web_anon, web_user TO authenticator;
GRANT people_db_admin TO pgadmin;

-- A request that takes longer asks the wrong question; PostgREST applies a role's own settings.
ALTER ROLE web_user SET statement_timeout = '10s';
ALTER ROLE web_anon SET statement_timeout = '2s';

CREATE EXTENSION IF NOT EXISTS pg_trgm;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
-- The trigram operators live in `public`.
GRANT USAGE ON SCHEMA public TO inventory_owner, api_owner;

CREATE SCHEMA inventory AUTHORIZATION inventory_owner;
CREATE SCHEMA gate AUTHORIZATION gate_owner;
CREATE SCHEMA api AUTHORIZATION api_owner;
COMMENT ON SCHEMA inventory IS
    'The inventory as tables, filled from PKaKey''s events. Never exposed by PostgREST.';
COMMENT ON SCHEMA gate IS 'Who a request speaks for: the token''s claims, checked.';
-- PostgREST shows the first line as the title of the OpenAPI document.
COMMENT ON SCHEMA api IS $$theDDT data API
The inventory of certificates as data. Every row belongs to a namespace, and a token sees its own.$$;

GRANT USAGE ON SCHEMA inventory TO api_owner, inventory_writer;
GRANT USAGE ON SCHEMA gate TO api_owner, inventory_owner, web_anon, web_user;
GRANT USAGE ON SCHEMA api TO web_anon, web_user, people_auditor;

-- Nothing is executable by everybody, whatever is added later.
ALTER DEFAULT PRIVILEGES FOR ROLE inventory_owner, gate_owner, api_owner
    REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- migrate:down
DO $$ BEGIN RAISE EXCEPTION 'Migrations only go forward: write a new one.'; END $$;
