-- migrate:up

-- PostgREST signs in as `authenticator` and reads the issuers' public keys from this role's own settings;
-- `python -m pesequel.keys` writes them there as that role, and may set nothing else by this.
GRANT SET ON PARAMETER pgrst.jwt_secret TO authenticator;

-- migrate:down

REVOKE SET ON PARAMETER pgrst.jwt_secret FROM authenticator;
