-- Requests (docs/flows/approval.md): each namespace's own; what is asked for never changes.
ALTER TABLE requests_request ENABLE ROW LEVEL SECURITY;
ALTER TABLE requests_request FORCE ROW LEVEL SECURITY;
CREATE POLICY own_namespace ON requests_request
    USING (namespace_id = pki.namespace()) WITH CHECK (namespace_id = pki.namespace());
GRANT SELECT, INSERT ON requests_request TO pkakey_web, pkakey_worker;
GRANT UPDATE (state, process_id, diagram_version, diagram_sha256, path, deciders, reason,
    certificate_id, closed_at) ON requests_request TO pkakey_web, pkakey_worker;

CREATE FUNCTION pki.refuse_other_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.id, NEW.namespace_id, NEW.sha256, NEW.csr_der, NEW.profile, NEW.profile_version,
        NEW.profile_digest, NEW.authority_id, NEW.subject, NEW.names, NEW.public_key_sha256,
        NEW.validity_seconds, NEW.diagram, NEW.requester_kind, NEW.requester_id,
        NEW.requester_subject, NEW.created_at)
        IS DISTINCT FROM
       (OLD.id, OLD.namespace_id, OLD.sha256, OLD.csr_der, OLD.profile, OLD.profile_version,
        OLD.profile_digest, OLD.authority_id, OLD.subject, OLD.names, OLD.public_key_sha256,
        OLD.validity_seconds, OLD.diagram, OLD.requester_kind, OLD.requester_id,
        OLD.requester_subject, OLD.created_at)
       OR OLD.state IN ('issued', 'refused', 'failed')
       OR (OLD.process_id IS NOT NULL AND NEW.process_id IS DISTINCT FROM OLD.process_id) THEN
        RAISE EXCEPTION 'A request is decided once, and what it asks for never changes.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
REVOKE ALL ON FUNCTION pki.refuse_other_request() FROM PUBLIC;
CREATE TRIGGER only_decision BEFORE UPDATE ON requests_request
    FOR EACH ROW EXECUTE FUNCTION pki.refuse_other_request();
CREATE TRIGGER kept BEFORE DELETE ON requests_request
    FOR EACH ROW EXECUTE FUNCTION pki.refuse_deletion();
CREATE TRIGGER kept_whole BEFORE TRUNCATE ON requests_request
    FOR EACH STATEMENT EXECUTE FUNCTION pki.refuse_deletion();
