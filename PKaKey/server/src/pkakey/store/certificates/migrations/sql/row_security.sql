-- Row-level security of every table that has a namespace (docs/adr/0003).
-- FORCE: the owner of the tables is bound as well. Only two NOLOGIN roles differ: pkakey_functions
-- is bound to the namespace of the transaction like everybody, pkakey_lookup may read across.

CREATE SCHEMA pki;
CREATE SCHEMA intents;
CREATE SCHEMA status;

CREATE FUNCTION pki.namespace() RETURNS uuid LANGUAGE sql STABLE AS
$$ SELECT nullif(pg_catalog.current_setting('pkakey.namespace', true), '')::uuid $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'namespaces_membership', 'profiles_profile', 'authorities_ocspresponder',
        'authorities_crl', 'tokens_token', 'audit_entry', 'outbox_event', 'certificates_intent',
        'certificates_certificate', 'certificates_idempotencykey', 'certificates_expirynotice'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY own_namespace ON %I USING (namespace_id = pki.namespace()) '
            'WITH CHECK (namespace_id = pki.namespace())', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY[
        'namespaces_namespace', 'namespaces_membership', 'authorities_authority',
        'authorities_ocspresponder', 'authorities_crl', 'tokens_token', 'outbox_event',
        'certificates_intent', 'certificates_certificate'
    ] LOOP
        EXECUTE format('CREATE POLICY lookup ON %I FOR SELECT TO pkakey_lookup USING (true)', name);
        EXECUTE format('GRANT SELECT ON %I TO pkakey_lookup', name);
    END LOOP;
END $$;

ALTER TABLE namespaces_namespace ENABLE ROW LEVEL SECURITY;
ALTER TABLE namespaces_namespace FORCE ROW LEVEL SECURITY;
CREATE POLICY own_namespace ON namespaces_namespace
    USING (id = pki.namespace()) WITH CHECK (id = pki.namespace());

-- A grant is written by the authority's owner and seen by both sides.
ALTER TABLE authorities_grant ENABLE ROW LEVEL SECURITY;
ALTER TABLE authorities_grant FORCE ROW LEVEL SECURITY;
CREATE POLICY own_namespace ON authorities_grant
    USING (namespace_id = pki.namespace()) WITH CHECK (namespace_id = pki.namespace());
CREATE POLICY granted_to_us ON authorities_grant FOR SELECT
    USING (granted_namespace_id = pki.namespace());

-- An authority is written by its owner and seen by whom it was granted to.
ALTER TABLE authorities_authority ENABLE ROW LEVEL SECURITY;
ALTER TABLE authorities_authority FORCE ROW LEVEL SECURITY;
CREATE POLICY own_namespace ON authorities_authority
    USING (namespace_id = pki.namespace()) WITH CHECK (namespace_id = pki.namespace());
CREATE POLICY granted_to_us ON authorities_authority FOR SELECT USING (EXISTS (
    SELECT FROM authorities_grant g
    WHERE g.authority_id = authorities_authority.id AND g.granted_namespace_id = pki.namespace()
));

-- A grant may only name an authority of one's own: checked here, since a foreign key is not bound
-- by row-level security.
CREATE FUNCTION pki.require_own_authority() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM authorities_authority a
                   WHERE a.id = NEW.authority_id AND a.namespace_id = NEW.namespace_id) THEN
        RAISE EXCEPTION 'Only the namespace of an authority can grant or publish for it.';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER own_authority BEFORE INSERT OR UPDATE ON authorities_grant
    FOR EACH ROW EXECUTE FUNCTION pki.require_own_authority();
CREATE TRIGGER own_authority BEFORE INSERT OR UPDATE ON authorities_ocspresponder
    FOR EACH ROW EXECUTE FUNCTION pki.require_own_authority();
CREATE TRIGGER own_authority BEFORE INSERT OR UPDATE ON authorities_crl
    FOR EACH ROW EXECUTE FUNCTION pki.require_own_authority();

-- The audit log is append-only for everybody, the owner included.
CREATE FUNCTION pki.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'An audit entry is never changed.' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_entry
    FOR EACH ROW EXECUTE FUNCTION pki.refuse_change();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON audit_entry
    FOR EACH STATEMENT EXECUTE FUNCTION pki.refuse_change();

-- What a certificate depends on stays, whoever asks. The tables of the hot path name namespaces and
-- authorities without foreign keys, each of which would lock that one row in every commit.
CREATE FUNCTION pki.refuse_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A row of % is never deleted.', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['namespaces_namespace', 'authorities_authority',
                                'certificates_certificate', 'certificates_intent'] LOOP
        EXECUTE format('CREATE TRIGGER kept BEFORE DELETE ON %I '
                       'FOR EACH ROW EXECUTE FUNCTION pki.refuse_deletion()', name);
        EXECUTE format('CREATE TRIGGER kept_whole BEFORE TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION pki.refuse_deletion()', name);
    END LOOP;
END $$;

-- What a certificate says never changes, whoever asks.
CREATE FUNCTION pki.refuse_other_certificate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.namespace_id, NEW.authority_id, NEW.serial_number, NEW.der, NEW.issued_at)
        IS DISTINCT FROM
       (OLD.id, OLD.namespace_id, OLD.authority_id, OLD.serial_number, OLD.der, OLD.issued_at)
       OR OLD.revoked_at IS NOT NULL THEN
        RAISE EXCEPTION 'A certificate can only be revoked, once, and not be changed.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER only_revocation BEFORE UPDATE ON certificates_certificate
    FOR EACH ROW EXECUTE FUNCTION pki.refuse_other_certificate();

CREATE SEQUENCE outbox_event_number OWNED BY outbox_event.number;
ALTER TABLE outbox_event ALTER COLUMN number SET DEFAULT nextval('outbox_event_number');

CREATE INDEX certificate_search ON certificates_certificate
    USING gin (search_text gin_trgm_ops);
