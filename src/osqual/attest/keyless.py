"""Signatures without a key of one's own: by the identity of a CI job, through sigstore (extra)."""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osqual.attest.envelope import PAYLOAD_TYPE, NotProven, Verified, payload_of, statement_of
from osqual.errors import InvalidInput, PublishFailed
from osqual.settings import TrustedIdentity

if TYPE_CHECKING:
    from sigstore.models import ClientTrustConfig

INSTALL = "pip install 'osqual[sigstore]'"


@dataclass(frozen=True, kw_only=True)
class Sigstore:
    """An instance of sigstore: the public one, or that of a trust configuration file."""

    trust_config: Path | None = None

    def config(self, *, offline: bool) -> "ClientTrustConfig":
        """What to ask and whom to believe. Raises InvalidInput."""
        _require()
        from sigstore.errors import Error
        from sigstore.models import ClientTrustConfig

        try:
            if self.trust_config is None:
                return ClientTrustConfig.production(offline=offline)
            return ClientTrustConfig.from_json(self.trust_config.read_text(encoding="utf-8"))
        except (Error, OSError, ValueError) as error:
            raise InvalidInput(
                "The trust configuration of sigstore cannot be used: "
                + (str(self.trust_config) if self.trust_config else "the public one"),
                details=str(error),
            ) from error


def check_identity() -> None:
    """Refuse a run that could not be signed in the end: no extra, or no identity to sign by.

    Raises InvalidInput.
    """
    _require()
    _token()


def seal_keyless(statement: Mapping[str, Any], sigstore: Sigstore) -> str:
    """The statement in a bundle: envelope, certificate and log entry, as one line of JSON.

    The certificate and the entry, both public, name the CI job. Raises PublishFailed.
    """
    config = sigstore.config(offline=False)
    from cryptography.exceptions import InvalidSignature
    from requests import RequestException
    from sigstore.dsse import Statement
    from sigstore.errors import Error
    from sigstore.oidc import IdentityToken
    from sigstore.sign import SigningContext

    try:
        token = IdentityToken(_token())
        with SigningContext.from_trust_config(config).signer(token) as signer:
            return str(signer.sign_dsse(Statement(payload_of(statement))).to_json())
    except Exception as error:
        # Its clients raise classes of their own that have no common base.
        known = (Error, RequestException, InvalidSignature, OSError, ValueError, InvalidInput)
        if isinstance(error, known) or type(error).__module__.startswith("sigstore."):
            raise PublishFailed(
                "sigstore did not sign what was qualified.",
                details=f"{type(error).__name__}: {error}",
                resolution="`osqual publish RUN` tries again, in a job that has an identity",
            ) from error
        raise


@dataclass(frozen=True, kw_only=True)
class Keyless:
    """Whose keyless signatures are believed."""

    identities: Sequence[TrustedIdentity]
    sigstore: Sigstore

    def unseal(self, line: str) -> Verified:
        """The statement of a bundle that one of the identities signed. Raises NotProven.

        Needs no network: certificate, log entry and its place in the log are in the bundle.
        """
        config = self.sigstore.config(offline=True)
        from sigstore.errors import VerificationError
        from sigstore.models import Bundle
        from sigstore.verify import Verifier
        from sigstore.verify import policy as policies

        trusted = Verifier(trusted_root=config.trusted_root)
        why = "no identity is trusted"
        for one in self.identities:
            policy = policies.Identity(identity=one.identity, issuer=one.issuer)
            try:
                bundle = Bundle.from_json(line)
                kind, payload = trusted.verify_dsse(bundle, policy)
            except VerificationError as error:
                why = str(error)
                continue
            except Exception as error:  # whatever a bundle that was tampered with makes it do
                raise NotProven("This is no attestation.", details=repr(error)) from error
            if kind != PAYLOAD_TYPE or bundle.to_json() != line or not _is_signed_by_its_log(line):
                raise NotProven("The attestation is not as it was written.")
            signer = f"{one.identity} ({one.issuer})"
            return Verified(
                statement=statement_of(payload), payload=payload, key_id=one.identity, signer=signer
            )
        raise NotProven(
            "No identity that is trusted has signed this.",
            details=why,
            resolution="give the identity with --identity, or attest.identities in osqual.yaml",
        )


def _is_signed_by_its_log(line: str) -> bool:
    """Whether the name at the checkpoint's signature, which nothing signs, is that of the log."""
    (entry,) = json.loads(line)["verificationMaterial"]["tlogEntries"]
    note = str(entry["inclusionProof"]["checkpoint"]["envelope"])
    head, _, signatures = note.partition("\n\n")
    name = head.partition("\n")[0].partition(" ")[0]
    return any(one.startswith(f"\u2014 {name} ") for one in signatures.splitlines())


def _require() -> None:
    if importlib.util.find_spec("sigstore") is None:
        raise InvalidInput(
            "Keyless signatures need the extra `sigstore`.", resolution=f"install it: {INSTALL}"
        )


def _token() -> str:
    """The identity token of this CI job. Raises InvalidInput."""
    from sigstore.errors import Error
    from sigstore.oidc import IdentityError, detect_credential

    why = "no system of continuous integration was recognised"
    try:
        token = detect_credential()
    except (IdentityError, Error, OSError) as error:
        token, why = None, str(error)
    if not token:
        raise InvalidInput(
            "There is no identity to sign by.",
            details=why,
            resolution="on GitHub give the job `permissions: {id-token: write}`; on GitLab an id "
            "token SIGSTORE_ID_TOKEN for the audience sigstore; elsewhere sign with a key",
        )
    return str(token)
