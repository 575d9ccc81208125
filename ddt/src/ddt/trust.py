"""How to trust the platform's root, for each system and browser."""

from pathlib import Path

GUIDES: dict[str, tuple[str, ...]] = {
    "Debian, Ubuntu": (
        "sudo cp {root} /usr/local/share/ca-certificates/theddt-root.crt",
        "sudo update-ca-certificates",
    ),
    "Fedora, RHEL": (
        "sudo cp {root} /etc/pki/ca-trust/source/anchors/theddt-root.pem",
        "sudo update-ca-trust",
    ),
    "Arch": ("sudo trust anchor --store {root}",),
    "Alpine": (
        "sudo cp {root} /usr/local/share/ca-certificates/theddt-root.crt",
        "sudo update-ca-certificates",
    ),
    "macOS": (
        (
            "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain"
            " {root}"
        ),
    ),
    "Windows (as administrator)": ("certutil -addstore -f Root {root}",),
    "Firefox (every system)": (
        "Settings > Privacy & Security > Certificates > View Certificates > Authorities > Import:",
        "choose {root} and tick 'Trust this CA to identify websites'.",
    ),
    "Chrome, Chromium, Edge on Linux": (
        "mkdir -p $HOME/.pki/nssdb",
        (
            "certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n theDDT -i {root}"
            "    (certutil is in libnss3-tools)"
        ),
    ),
    "Chrome, Edge, Safari on macOS and Windows": ("They use the system's trust: see above.",),
    "curl": ("curl --cacert {root} {portal}/",),
    "Python": ("SSL_CERT_FILE={root}   (requests: REQUESTS_CA_BUNDLE={root})",),
    "Node.js": ("NODE_EXTRA_CA_CERTS={root}",),
    "Java": ("keytool -importcert -cacerts -alias theddt -file {root}",),
}


def guide(root: Path, portal: str) -> list[tuple[str, list[str]]]:
    """Return each system's or program's name with the lines to run or to do."""
    return [
        (name, [line.format(root=root, portal=portal) for line in lines])
        for name, lines in GUIDES.items()
    ]
