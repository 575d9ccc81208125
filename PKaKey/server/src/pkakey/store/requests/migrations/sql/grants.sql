-- Grants (docs/flows/approval.md): each namespace's own; made once, withdrawn once, never changed.
ALTER TABLE requests_grant ENABLE ROW LEVEL SECURITY;
ALTER TABLE requests_grant FORCE ROW LEVEL SECURITY;
CREATE POLICY own_namespace ON requests_grant
    USING (namespace_id = pki.namespace()) WITH CHECK (namespace_id = pki.namespace());
GRANT SELECT, INSERT ON requests_grant TO pkakey_web;
GRANT SELECT ON requests_grant TO pkakey_worker;
-- Commands, of which one withdraws, run as the worker.
GRANT UPDATE (withdrawn_at) ON requests_grant TO pkakey_web, pkakey_worker;

CREATE FUNCTION pki.refuse_other_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.withdrawn_at IS NOT NULL
       OR to_jsonb(NEW) - 'withdrawn_at' IS DISTINCT FROM to_jsonb(OLD) - 'withdrawn_at' THEN
        RAISE EXCEPTION 'A grant is withdrawn once, and what it grants never changes.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION pki.refuse_other_grant() FROM PUBLIC;
CREATE TRIGGER only_withdrawal BEFORE UPDATE ON requests_grant
    FOR EACH ROW EXECUTE FUNCTION pki.refuse_other_grant();
CREATE TRIGGER kept BEFORE DELETE ON requests_grant
    FOR EACH ROW EXECUTE FUNCTION pki.refuse_deletion();
CREATE TRIGGER kept_whole BEFORE TRUNCATE ON requests_grant
    FOR EACH STATEMENT EXECUTE FUNCTION pki.refuse_deletion();
