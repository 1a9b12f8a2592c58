"""AWS Signature Version 4 for a GET, and where the credentials come from."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from pipelines.discovery.access import Signer
from pipelines.discovery.model import DiscoveryError
from pipelines.fleet.models import Provider


def region_of(provider: Provider, env: Mapping[str, str]) -> str:
    """Return the region: fleet.yaml's, the environment's, or raise DiscoveryError."""
    region = provider.region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    if not region:
        raise DiscoveryError("no_key", "no AWS region is set; write `region: us-east-1` or export AWS_REGION")
    return region


def control_base(provider: Provider, env: Mapping[str, str]) -> str:
    """Return Bedrock's control plane, which lists; probes go to the runtime host beside it."""
    if provider.base_url:
        return provider.base_url.replace("://bedrock-runtime.", "://bedrock.", 1)
    return f"https://bedrock.{region_of(provider, env)}.amazonaws.com"


def bearer_of(provider: Provider, env: Mapping[str, str]) -> str | None:
    """Return a Bedrock API key, when there is one: it replaces the signature."""
    return env.get(provider.api_key_env or "AWS_BEARER_TOKEN_BEDROCK") or None


def signer_of(provider: Provider, env: Mapping[str, str]) -> Signer:
    """Return the function that signs a GET for Bedrock.

    Raises:
        DiscoveryError: ``no_key`` when AWS's usual chain finds no credentials.
    """
    # botocore takes some 0.2 s to import: only a fleet with Bedrock pays.
    from botocore.auth import SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    from botocore.session import Session as BotoSession  # noqa: PLC0415

    if env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY"):
        found = Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN"))
    else:
        session = BotoSession(profile=env.get("AWS_PROFILE") or None)
        # Off EC2 nobody answers at the metadata address; one short try is enough.
        session.set_config_variable("metadata_service_timeout", 1)
        session.set_config_variable("metadata_service_num_attempts", 1)
        try:
            found = session.get_credentials()
        except BotoCoreError as error:
            raise DiscoveryError("no_key", f"AWS credentials cannot be used: {error}; check AWS_PROFILE") from error
    if found is None:
        message = "no AWS credentials are set; export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        raise DiscoveryError("no_key", message)
    auth = SigV4Auth(found.get_frozen_credentials(), "bedrock", region_of(provider, env))

    def sign(url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        # Only the host is signed beside AWS's own headers: a proxy may touch the others.
        request = AWSRequest("GET", url, headers={"host": headers.get("host", urlsplit(url).netloc)})
        auth.add_auth(request)
        return {name: value for name, value in request.headers.items() if name.lower() != "host"}

    return sign
