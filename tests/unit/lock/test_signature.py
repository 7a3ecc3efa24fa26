from __future__ import annotations

import builtins
import shutil

import pysequoia
import pytest

from jupyter_containers.errors import HostError, SignatureError
from jupyter_containers.lock.signature import keyring_files, verify_cleartext

TEXT = b"Suite: trixie\nSHA256:\n aa 1 main/binary-amd64/Packages\n"


@pytest.fixture(scope="module")
def key():
    return pysequoia.Tsk.generate("Archive <archive@example.org>")


@pytest.fixture
def keyring(key, tmp_path):
    file = tmp_path / "ring.pgp"
    file.write_bytes(bytes(key.extract_certificate()))
    return file


@pytest.fixture(params=["pysequoia", "gpgv"])
def verifier(request, monkeypatch):
    if request.param == "gpgv":
        if shutil.which("gpgv") is None:
            pytest.skip("gpgv is not there")
        real = builtins.__import__

        def without(name, *arguments, **options):
            if name == "pysequoia":
                raise ImportError(name)
            return real(name, *arguments, **options)

        monkeypatch.setattr(builtins, "__import__", without)
    return request.param


def signed(key, text=TEXT):
    return pysequoia.sign(key.signer(), text, mode=pysequoia.SignatureMode.CLEAR)


def test_good_signature(key, keyring, verifier):
    verified = verify_cleartext(signed(key), name="trixie", keyrings=[keyring])
    assert verified.text.rstrip() == TEXT.rstrip()
    assert verified.by == verifier and len(verified.signers) == 1


def test_changed_text(key, keyring, verifier):
    content = signed(key).replace(b"aa 1", b"bb 1")
    with pytest.raises(SignatureError, match="signature of trixie does not hold"):
        verify_cleartext(content, name="trixie", keyrings=[keyring])


def test_key_that_is_not_trusted_is_named(keyring, verifier):
    other = pysequoia.Tsk.generate("Mallory <mallory@example.org>")
    with pytest.raises(SignatureError, match=r"signed by key [0-9a-f]{16,}"):
        verify_cleartext(signed(other), name="trixie", keyrings=[keyring])


def test_text_that_is_not_signed(keyring, verifier):
    with pytest.raises(SignatureError, match="not signed"):
        verify_cleartext(TEXT, name="trixie", keyrings=[keyring])


def test_what_stands_around_the_signed_text_is_not_returned(key, keyring, verifier):
    with pytest.raises(SignatureError, match="not signed"):
        verify_cleartext(b"Suite: evil\n" + signed(key), name="trixie", keyrings=[keyring])
    try:
        verified = verify_cleartext(signed(key) + b"\nSuite: evil\n", name="trixie", keyrings=[keyring])
    except SignatureError:
        return
    assert b"evil" not in verified.text


def test_keys_that_come_along_are_debians():
    users = [
        str(user) for file in keyring_files() for cert in pysequoia.Cert.split_file(str(file)) for user in cert.user_ids
    ]
    assert sum("12/bookworm" in user for user in users) == 3
    assert sum("13/trixie" in user for user in users) == 3
    assert all(user.endswith("debian.org>") for user in users)


def test_extra_keyring_that_is_none(key, tmp_path):
    file = tmp_path / "ring.pgp"
    file.write_text("not a key")
    with pytest.raises(SignatureError, match="holds no OpenPGP keys"):
        verify_cleartext(signed(key), name="trixie", keyrings=[file])


def test_no_way_to_verify_is_told(key, keyring, monkeypatch):
    real = builtins.__import__
    monkeypatch.setattr(
        builtins,
        "__import__",
        lambda name, *a, **k: (_ for _ in ()).throw(ImportError()) if name == "pysequoia" else real(name, *a, **k),
    )
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(HostError, match="gpgv"):
        verify_cleartext(signed(key), name="trixie", keyrings=[keyring])
