# SPDX-FileCopyrightText: 2026 The fleetpki authors
# SPDX-License-Identifier: Apache-2.0
"""Authorities' keys on a token (PKCS#11): they sign there and never leave it. EC keys only."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar, cast

import pkcs11
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from pkcs11.util.ec import encode_ec_public_key, encode_ecdsa_signature, encode_named_curve_parameters

from fleetpki.errors import FleetError
from fleetpki.pki.keyring import KeyUnavailable
from fleetpki.pki.keys import KeyType

_CURVES = {KeyType.EC_P256: "secp256r1", KeyType.EC_P384: "secp384r1"}
_Result = TypeVar("_Result")

#: A token that takes longer for one thing, or has not come to it by then, counts as away.
ANSWER_S = 10.0


class _Turns:
    """One call at a time, each in a thread of its own, because nothing ends a call that hangs."""

    def __init__(self) -> None:
        self._free = threading.Lock()
        self._given_up: Future[Any] | None = None

    def call(self, work: Callable[[], _Result]) -> _Result:
        """What ``work`` returns or raises; TimeoutError while it, or a call before it, hangs."""
        hangs = self._given_up is not None and not self._given_up.done()
        if hangs or not self._free.acquire(timeout=ANSWER_S):
            raise TimeoutError
        outcome: Future[_Result] = Future()
        threading.Thread(target=self._run, args=(work, outcome), name="pkcs11", daemon=True).start()
        try:
            return outcome.result(ANSWER_S)
        except TimeoutError:
            self._given_up = outcome
            raise

    def _run(self, work: Callable[[], _Result], outcome: "Future[_Result]") -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)
        finally:
            self._free.release()


# A module is one library with one state per process, and not all are safe to call from many threads.
_turns = _Turns()
_sessions: dict["Token", pkcs11.Session] = {}
_wrong_pin: set["Token"] = set()


@dataclass(frozen=True)
class Token:
    """A token that a module reaches."""

    module: Path
    label: str
    pin_of: Callable[[], str]
    """Reads the PIN; it is kept nowhere."""

    def run(self, operation: Callable[[pkcs11.Session], _Result]) -> _Result:
        """Do something on the token; should that fail, once more with a fresh connection."""
        try:
            return _turns.call(lambda: self._try_twice(operation))
        except (pkcs11.PKCS11Error, TimeoutError) as error:
            raise KeyUnavailable(
                f"the token {self.label!r} of {self.module} does not answer: {type(error).__name__}",
                "connect it, or correct pkcs11_module",
            ) from error

    def _try_twice(self, operation: Callable[[pkcs11.Session], _Result]) -> _Result:
        try:
            return operation(self._session())
        except pkcs11.PKCS11Error:
            _sessions.clear()
        try:
            pkcs11.lib(str(self.module)).reinitialize()
            return operation(self._session())
        except pkcs11.PKCS11Error:
            _sessions.clear()
            raise

    def _session(self) -> pkcs11.Session:
        if self not in _sessions:
            token = pkcs11.lib(str(self.module)).get_token(token_label=self.label)
            _sessions[self] = self._log_in(token)
        return _sessions[self]

    def _log_in(self, token: pkcs11.Token) -> pkcs11.Session:
        """A token locks itself after a few wrong PINs, so a process gets one try."""
        if self not in _wrong_pin:
            try:
                return token.open(rw=True, user_pin=self.pin_of())
            except (pkcs11.PinIncorrect, pkcs11.PinLocked):
                _wrong_pin.add(self)
        raise KeyUnavailable(
            f"the token {self.label!r} refused the PIN", "correct its file, then start again"
        )


class TokenKey(ec.EllipticCurvePrivateKey):
    """An EC key on a token, as the library ``cryptography`` wants keys."""

    def __init__(self, token: Token, label: str, public_key: ec.EllipticCurvePublicKey) -> None:
        """Stand for the private key of this label, whose public key is this."""
        self._token = token
        self._label = label
        self._public_key = public_key

    @classmethod
    def find(cls, token: Token, label: str) -> Self:
        """The key of a label."""

        def public_key(session: pkcs11.Session) -> bytes:
            found = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=label)
            return encode_ec_public_key(cast(pkcs11.PublicKey, found))

        return cls(token, label, _load(token.run(public_key)))

    @classmethod
    def generate(cls, token: Token, label: str, key_type: KeyType) -> Self:
        """Make a key on the token; a label that is taken is refused."""
        if key_type not in _CURVES:
            raise FleetError(f"a key on a token is not {key_type}", f"use {', '.join(_CURVES)}", exit_code=2)

        def generate(session: pkcs11.Session) -> bytes | None:
            if any(session.get_objects({pkcs11.Attribute.LABEL: label})):
                return None
            curve = encode_named_curve_parameters(_CURVES[key_type])
            parameters = session.create_domain_parameters(
                pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: curve}, local=True
            )
            public_key, _ = parameters.generate_keypair(label=label, store=True)
            return encode_ec_public_key(public_key)

        spki = token.run(generate)
        if spki is None:
            raise FleetError(f"the token has an object {label!r} already", "choose another name", exit_code=2)
        return cls(token, label, _load(spki))

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Sign with ECDSA: the digest is made here, the signature on the token."""
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, utils.Prehashed):
            digest = bytes(data)
        else:
            hashing = hashes.Hash(algorithm)
            hashing.update(data)
            digest = hashing.finalize()

        def sign(session: pkcs11.Session) -> bytes:
            key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=self._label)
            return cast(pkcs11.SignMixin, key).sign(digest, mechanism=pkcs11.Mechanism.ECDSA)

        return encode_ecdsa_signature(self._token.run(sign))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public key."""
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        """Its curve."""
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        """Its size in bits."""
        return self._public_key.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        """An authority's key only signs."""
        raise NotImplementedError

    def private_numbers(self) -> NoReturn:
        """The key does not leave the token."""
        raise NotImplementedError

    def private_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PrivateFormat,  # noqa: A002 - the library's name for it
        encryption_algorithm: serialization.KeySerializationEncryption,
    ) -> NoReturn:
        """The key does not leave the token."""
        raise NotImplementedError

    def __copy__(self) -> Self:
        """It stands for one and the same key."""
        return self

    def __deepcopy__(self, memo: dict[Any, Any]) -> Self:
        """It stands for one and the same key."""
        return self


def _load(spki: bytes) -> ec.EllipticCurvePublicKey:
    key = serialization.load_der_public_key(spki)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise FleetError("the key on the token is no EC key", "make another", exit_code=2)
    return key
