"""The text that the public pages have on the first day; editors change it in the CMS."""

LEAD = "Certificates for your team's servers, services and devices, and answers for their status."

HOME = """
<h2>Where to start</h2>
<ul>
<li><b>Sign in</b>, hand in a certificate signing request, and download the certificate.</li>
<li><b>Let a machine do it:</b> create an API token in the portal and read the
<a href="/api/v1/docs/">description of the REST API</a>.</li>
<li><b>Trust us:</b> the <a href="/repository/">CA repository</a> has our root certificate with its
fingerprint.</li>
</ul>
"""

HELP = """
<h2>Make a key and a request</h2>
<p>With openssl, for one name. The key stays with you; only the request is handed in.</p>
<p><code>openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key
-out server.csr -subj /CN=www.example.test -addext subjectAltName=DNS:www.example.test</code></p>
<h2>Get the certificate</h2>
<ol>
<li>Sign in and choose <b>New certificate</b>.</li>
<li>Choose the profile, then paste the request, drop its file, or choose it.</li>
<li>The preview says exactly what will be issued: names, end, issuer, each extension.</li>
<li>Choose <b>Issue certificate</b>, and download it with its chain.</li>
</ol>
<h2>When something is refused</h2>
<p>A refusal has a sentence and a stable code, such as <code>key.too-small</code> or
<code>name.outside-constraints</code>. The preview shows it before anything is issued.</p>
<h2>Revoke</h2>
<p>Open the certificate in the portal and choose <b>Revoke</b>, or use <code>ddt revoke</code>. The
CRL and OCSP say so at once. It cannot be undone.</p>
<h2>Trust the root</h2>
<p><code>ddt trust</code> says how, for each system and browser. Compare the fingerprint with
one that you got another way.</p>
"""

REPOSITORY = """
<p>The authorities of this installation: their certificates, and where their status is published.
These addresses answer over plain HTTP, as clients expect. Compare the fingerprint with one that you
got another way before you trust a root.</p>
"""

POLICY = """
<h2>Who may get a certificate</h2>
<p>People and machines that the operator of this installation has given an account or a token. Each
certificate is bound to the namespace that it was asked for in.</p>
<h2>What is checked</h2>
<p>Each request proves that its maker holds the private key (RFC 2986). The key must be of an
allowed kind and size and free of known weaknesses. The names must fit the profile and the name
constraints of the issuer. A certificate never outlives its issuer.</p>
<h2>What is recorded</h2>
<p>The exact bytes of each certificate are recorded before they are signed, and who asked for it
afterwards. Entries of the audit log are only ever added.</p>
<h2>Status</h2>
<p>A revocation is published in the CRL and answered by OCSP at once (RFC 5280, RFC 6960).</p>
"""
