"""`Provider`: sign-in at an OpenID Connect provider, by the authorization code flow with PKCE.

The provider says which e-mail address a person has; who may do what stays with the people who are
registered here. Authlib makes the requests of the flow, joserfc checks the signature.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flywheel.desk.refusals import Refusal
from flywheel.desk.sessions import derived_secret
from flywheel.errors import ConfigurationError
from flywheel.io.http import HttpClient, HttpService, is_local

if TYPE_CHECKING:
    from flywheel.settings import Settings

__all__ = ["CALLBACK", "PendingSignIn", "Provider", "provider_of"]

CALLBACK = "/sign-in/callback"
# Of the asymmetric kind alone: a secret that the provider shares with others would sign too.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
_SECONDS, _LEEWAY = 10.0, 60


@dataclass(frozen=True)
class PendingSignIn:
    """A sign-in that a browser has begun, by the key in its cookie, from which all else follows."""

    key: str

    @property
    def state(self) -> str:
        """What the provider sends back with the browser."""
        return derived_secret("state", self.key)

    @property
    def nonce(self) -> str:
        """What the provider puts into the signed token."""
        return derived_secret("nonce", self.key)

    @property
    def verifier(self) -> str:
        """What proves that the code is fetched by who asked for it (PKCE)."""
        return derived_secret("verifier", self.key)


def provider_of(settings: "Settings") -> "Provider | None":
    """Return the provider that the settings name; None where they name none.

    Raises:
        ConfigurationError: a part of what it takes is missing.
    """
    issuer, client_id = settings.desk_oidc_issuer, settings.desk_oidc_client_id
    secret = settings.desk_oidc_client_secret
    if issuer is None and client_id is None and secret is None:
        return None
    if not (issuer and client_id and secret and settings.desk_url):
        raise ConfigurationError(
            "Sign-in at a provider takes its issuer, a client id, its secret and the desk's address.",
            next_step="set FLYWHEEL_DESK_OIDC_ISSUER, FLYWHEEL_DESK_OIDC_CLIENT_ID, "
            "FLYWHEEL_DESK_OIDC_CLIENT_SECRET and FLYWHEEL_DESK_URL",
        )
    return Provider(issuer, client_id, secret.get_secret_value(), settings.desk_url)


class Provider:
    """Begin and finish sign-ins at one provider; nothing of them is kept here.

    Args:
        issuer: its address, as its own metadata spell it.
        client_id: how the provider knows the desk.
        client_secret: how the desk proves that.
        desk_url: address at which people open the desk.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        desk_url: str,
    ) -> None:
        self._issuer, self._client_id, self._secret = issuer, client_id, client_secret
        self._callback = f"{desk_url.rstrip('/')}{CALLBACK}"
        _require_secure(issuer)

    @property
    def name(self) -> str:
        """What the sign-in page calls it."""
        return urlsplit(self._issuer).netloc

    def begin(self) -> tuple[str, PendingSignIn]:
        """Return the address at the provider that a browser opens, and the sign-in that it begins.

        Raises:
            HttpError: the provider does not answer.
        """
        pending = PendingSignIn(secrets.token_urlsafe(32))
        with self._client() as client:
            address, _ = client.create_authorization_url(
                self._metadata()["authorization_endpoint"],
                state=pending.state,
                nonce=pending.nonce,
                code_verifier=pending.verifier,
            )
        return str(address), pending

    def finish(self, key: str, answer: Mapping[str, str]) -> str:
        """Return the verified e-mail address of who signed in.

        Args:
            key: what the browser's cookie holds; the caller knows that it has begun.
            answer: the query that the provider sent the browser back with.

        Raises:
            Refusal: 401 where the provider's answer does not hold.
            HttpError: the provider does not answer.
        """
        pending = PendingSignIn(key)
        if not secrets.compare_digest(pending.state.encode(), answer.get("state", "").encode()):
            raise _refused("The answer belongs to another sign-in")
        if answer.get("iss", self._issuer) != self._issuer:
            raise _refused("The answer is another provider's")
        if "code" not in answer:
            raise _refused("The provider did not let you in")
        metadata = self._metadata()
        token = self._id_token(metadata["token_endpoint"], answer["code"], pending)
        claims = self._claims(metadata["jwks_uri"], token, pending.nonce)
        if claims.get("email_verified") is not True or not isinstance(claims.get("email"), str):
            raise _refused("The provider names no e-mail address of yours that it has verified")
        return str(claims["email"]).strip().casefold()

    def _id_token(self, endpoint: str, code: str, pending: PendingSignIn) -> str:
        import httpx
        from authlib.common.errors import AuthlibBaseError

        try:
            with self._client() as client:
                token = client.fetch_token(
                    endpoint,
                    code=code,
                    code_verifier=pending.verifier,
                    grant_type="authorization_code",
                )
        except (AuthlibBaseError, httpx.HTTPError, ValueError) as error:
            raise _refused(f"The provider gave no token ({type(error).__name__})") from error
        text = token.get("id_token")
        if not isinstance(text, str):
            raise _refused("The provider gave no id token")
        return text

    def _claims(self, keys_url: str, id_token: str, nonce: str) -> Mapping[str, Any]:
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        keys = self._get(keys_url)
        registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._client_id},
            nonce={"essential": True, "value": nonce},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
        try:
            token = jwt.decode(id_token, KeySet.import_key_set(keys), algorithms=_ALGORITHMS)
            registry.validate(token.claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise _refused(
                f"The provider's answer does not hold ({type(error).__name__})"
            ) from error
        if token.claims.get("azp", self._client_id) != self._client_id:
            raise _refused("The provider's answer is for another application")
        return token.claims

    def _metadata(self) -> Mapping[str, str]:
        metadata = self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        if not isinstance(metadata, dict) or metadata.get("issuer") != self._issuer:
            raise ConfigurationError(
                f"{self._issuer} calls itself otherwise, or is no provider.",
                next_step="set FLYWHEEL_DESK_OIDC_ISSUER to the issuer that its metadata name",
            )
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            _require_secure(str(metadata.get(name)))
        return metadata

    def _get(self, url: str) -> Any:
        with HttpClient(HttpService(url, "the provider"), seconds=_SECONDS) as http:
            return http.send("GET").require()

    def _client(self) -> Any:
        from authlib.integrations.httpx_client import OAuth2Client

        return OAuth2Client(
            self._client_id,
            self._secret,
            scope="openid email",
            redirect_uri=self._callback,
            code_challenge_method="S256",
            timeout=_SECONDS,
            follow_redirects=False,
            trust_env=not is_local(self._issuer),
        )


def _require_secure(url: str) -> None:
    if not (url.startswith("https://") or (url.startswith("http://") and is_local(url))):
        raise ConfigurationError(
            f"{url} is not an https address.", next_step="use a provider that is reached by https"
        )


def _refused(message: str) -> Refusal:
    return Refusal(401, f"{message}.", "sign in again, or with your personal token")
