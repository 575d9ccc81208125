-- Suspended authorities, and the acts of processes on them: each namespace's own, written once.
GRANT UPDATE (suspended_at) ON authorities_authority TO pkakey_web, pkakey_worker;
ALTER TABLE authorities_act ENABLE ROW LEVEL SECURITY;
ALTER TABLE authorities_act FORCE ROW LEVEL SECURITY;
CREATE POLICY own_namespace ON authorities_act
    USING (namespace_id = pki.namespace()) WITH CHECK (namespace_id = pki.namespace());
GRANT SELECT, INSERT ON authorities_act TO pkakey_web;
GRANT SELECT ON authorities_act TO pkakey_worker;
CREATE TRIGGER kept BEFORE DELETE ON authorities_act
    FOR EACH ROW EXECUTE FUNCTION pki.refuse_deletion();
CREATE TRIGGER kept_whole BEFORE TRUNCATE ON authorities_act
    FOR EACH STATEMENT EXECUTE FUNCTION pki.refuse_deletion();
