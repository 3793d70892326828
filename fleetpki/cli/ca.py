# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""The authorities of a fleet, as seen from where they serve."""

import json
from pathlib import Path
from typing import Annotated

import typer

from fleetpki import files, own_files, views
from fleetpki.backup import back_up, restore_backup
from fleetpki.cli import authority_views, root
from fleetpki.cli.common import DEFAULT_DIR, Directory, Exit, Json, present, read_bytes, read_text
from fleetpki.errors import FleetError
from fleetpki.fleet import Fleet
from fleetpki.inputs import MAX_NUMBER
from fleetpki.lifecycle import authorities, ceremony, revocation_lists, trust
from fleetpki.own_files import Own
from fleetpki.registry.database import reading
from fleetpki.registry.models import Authority

app = typer.Typer(no_args_is_help=True)
app.add_typer(root.app)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the authority.")]
KeyUri = Annotated[
    str | None,
    typer.Option(help="Where its key is, or is made: pkcs11:token=T;object=O. [default: file:ca/NAME.key]"),
]


def _directory(text: str) -> Path:
    """A directory that is named; the current one is ``.``, not nothing."""
    if not text:
        raise FleetError("which directory?", "its name is empty", Exit.REFUSED)
    return Path(text)


@app.command(name="list")
def list_authorities(directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """List the authorities there are, or were."""
    with reading(Fleet.open(directory).sessions) as session:
        found = [authority_views.authority_data(each) for each in authorities.authorities(session)]
    present(as_json, found, authority_views.authority_table(found))


@app.command()
def show(name: Name, directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Show one authority and its certificate."""
    with reading(Fleet.open(directory).sessions) as session:
        authority = authorities.named(session, name)
        data = {
            **authority_views.authority_data(authority),
            "pem": authority.pem,
            "chain_pem": authority.chain_pem,
        }
    present(as_json, data, authority_views.authority_page(data))


@app.command()
def request(
    name: Name,
    out: Annotated[Path, typer.Option(help="The file to carry to the root.")],
    host: Annotated[
        list[str] | None,
        typer.Option(help="Host the authority may certify; may be repeated. [default: hosts of fleet.toml]"),
    ] = None,
    key_uri: KeyUri = None,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Make the key of a new issuing authority, and the request that the root is to certify.

    Example: *fleetpki ca request issuing-2 --out issuing-2.csr*
    """
    fleet = Fleet.open(directory)
    hosts = host or fleet.settings.hosts
    csr_pem = ceremony.request_authority(fleet.context, name, hosts=hosts, key_uri=key_uri)
    files.replace(out, csr_pem, mode=0o644)
    present(as_json, {"name": name, "request": str(out)}, f"wrote {out}: have the root sign it")


@app.command()
def install(
    name: Name,
    certificate: Annotated[
        Path, typer.Argument(metavar="CERTIFICATE", help="What 'fleetpki ca sign' wrote.")
    ],
    chain: Annotated[
        Path | None, typer.Option(help="Certificates of its root by other roots ('ca cross-sign').")
    ] = None,
    key_uri: KeyUri = None,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Take over a new issuing authority. It signs when it is activated.

    Example: *fleetpki ca install issuing-2 issuing-2.crt*
    """
    authority = ceremony.install_authority(
        Fleet.open(directory).context,
        name,
        read_text(certificate),
        chain_pem=read_text(chain) if chain else "",
        key_uri=key_uri,
    )
    _present(as_json, authority, f"installed {name}; next: fleetpki ca activate {name}")


@app.command()
def install_root(
    name: Name,
    certificate: Annotated[Path, typer.Argument(metavar="CERTIFICATE", help="root.crt of the new root.")],
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Make a new root known, beside the one there is."""
    authority = ceremony.install_root(Fleet.open(directory).context, name, read_text(certificate))
    _present(as_json, authority, f"installed the root {name}")


@app.command()
def install_crl(
    crl: Annotated[Path, typer.Argument(metavar="CRL", help="What 'fleetpki ca root-crl' wrote.")],
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Publish a root's revocation list; what the authorities it revokes have signed is revoked too."""
    installed = revocation_lists.install_list(Fleet.open(directory).context, read_bytes(crl))
    present(as_json, authority_views.revocation_list_data(installed), f"installed list {installed.number}")


@app.command()
def trust_send(
    document: Annotated[
        Path, typer.Argument(metavar="DOCUMENT", help="What 'fleetpki ca trust-update' wrote.")
    ],
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Send devices the roots to trust from now on; those that are away get it when they connect."""
    try:
        fields = json.loads(read_text(document))
        version, anchors, signature = int(fields["version"]), fields["anchors"], fields["signature"]
    except (ValueError, KeyError, TypeError) as error:
        raise FleetError(
            f"{document} is no trust update", "make one with 'ca trust-update'", Exit.REFUSED
        ) from error
    if version > MAX_NUMBER:
        raise FleetError(f"{document}: no version is above {MAX_NUMBER}", "", Exit.REFUSED)
    trust.publish(Fleet.open(directory).context, version=version, anchors=anchors, signature=signature)
    present(as_json, {"version": version, "anchors": len(anchors)}, f"version {version} is on its way")


@app.command()
def bootstrap(
    name: Name, key_uri: KeyUri = None, directory: Directory = DEFAULT_DIR, as_json: Json = False
) -> None:
    """Make an authority for the bootstrap certificates of a factory batch; restart 'up' afterwards."""
    authority = ceremony.create_bootstrap_authority(Fleet.open(directory).context, name, key_uri=key_uri)
    _present(as_json, authority, f"made the bootstrap authority {name}; restart 'fleetpki up'")


@app.command()
def activate(name: Name, directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """Let an issuing authority sign all new certificates; the one that did is retiring then.

    Example: *fleetpki ca activate issuing-2*
    """
    authority = ceremony.activate(Fleet.open(directory).context, name)
    _present(as_json, authority, f"{name} signs new certificates now")


@app.command()
def retire(name: Name, directory: Directory = DEFAULT_DIR, as_json: Json = False) -> None:
    """End an authority of which no certificate is at work any more.

    Example: *fleetpki ca retire issuing*
    """
    authority = ceremony.retire(Fleet.open(directory).context, name)
    _present(as_json, authority, f"{name} is retired")


@app.command()
def renew(
    own: Annotated[Own, typer.Argument(metavar="|".join(Own), help="Whose certificate.")],
    new_key: Annotated[
        bool,
        typer.Option(
            "--new-key", help="Make a new key, too, and revoke what the former has: others may have it."
        ),
    ] = False,
    directory: Directory = DEFAULT_DIR,
    as_json: Json = False,
) -> None:
    """Certify the key of broker, service or operator anew, by the active authority; restart 'up' afterwards.

    The broker's certificate gets the hosts that are in fleet.toml now.

    Example: *fleetpki ca renew broker*
    """
    fleet = Fleet.open(directory)
    certificate = own_files.renew(fleet, own, new_key=new_key)
    path = own_files.certificate_file(fleet, own)
    present(as_json, views.certificate_data(certificate), f"renewed {path}; it is used after a restart")


@app.command()
def backup(
    to: Annotated[Path, typer.Argument(parser=_directory, metavar="DIRECTORY", help="A new directory.")],
    directory: Directory = DEFAULT_DIR,
) -> None:
    """Copy the fleet, with registry and keys, into a directory. It may run meanwhile.

    Example: *fleetpki ca backup /media/disk/fleet-2026-07-01*
    """
    back_up(Fleet.open(directory), to.absolute())
    present(False, None, f"backed up to {to}: keep it as safe as the fleet itself")


@app.command()
def restore(
    backup_directory: Annotated[
        Path, typer.Argument(parser=_directory, metavar="BACKUP", help="What 'ca backup' made.")
    ],
    directory: Directory = DEFAULT_DIR,
) -> None:
    """Make a fleet of a backup, in a new directory, after checking it.

    Example: *fleetpki ca restore /media/disk/fleet-2026-07-01 --dir /srv/fleet*
    """
    restore_backup(backup_directory.absolute(), directory.absolute())
    present(False, None, f"restored to {directory}; next: fleetpki up")


def _present(as_json: bool, authority: Authority, text: str) -> None:
    present(as_json, authority_views.authority_data(authority), text)
