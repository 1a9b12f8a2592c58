"""What each provider says when it refuses: status, headers and error object, in its own words and shape."""

import json
from dataclasses import dataclass

from pipelines.demo.dialects import DemoDialect, exception_frame, sse


@dataclass(frozen=True)
class Refusal:
    """One kind of refusal in every dialect; the labels are the providers' own."""

    status: int
    message: str
    openai: tuple[str, str | None]
    """(type, code)."""
    anthropic: str
    gemini: str
    bedrock: str
    headers: tuple[tuple[str, str], ...] = ()


_PATIENCE = (("retry-after", "7"),)

REFUSALS: dict[str, Refusal] = {
    "auth_401": Refusal(
        401, "Invalid key", ("invalid_request_error", "invalid_api_key"), "authentication_error",
        "UNAUTHENTICATED", "UnrecognizedClientException",
    ),
    "auth_403": Refusal(
        403, "This key may not use this model", ("permission_error", None), "permission_error",
        "PERMISSION_DENIED", "AccessDeniedException",
    ),
    "quota_402": Refusal(
        402, "Insufficient credits", ("payment_required", "402"), "billing_error",
        "RESOURCE_EXHAUSTED", "PaymentRequiredException",
    ),
    "quota_429": Refusal(
        429, "Your credit balance is too low", ("insufficient_quota", "insufficient_quota"), "rate_limit_error",
        "RESOURCE_EXHAUSTED", "ThrottlingException",
    ),
    "rate_limited": Refusal(
        429, "Too many requests per minute, please check your plan and billing details",
        ("requests", "rate_limit_exceeded"), "rate_limit_error", "RESOURCE_EXHAUSTED", "ThrottlingException", _PATIENCE,
    ),
    "overloaded_529": Refusal(
        529, "Overloaded", ("server_error", "overloaded"), "overloaded_error",
        "UNAVAILABLE",
        "ServiceUnavailableException",
    ),
    "overloaded_503": Refusal(
        503, "The model is overloaded. Please try again later.", ("server_error", None), "overloaded_error",
        "UNAVAILABLE",
        "ServiceUnavailableException",
    ),
    "model_not_found": Refusal(
        404, "The model `{model}` does not exist or you do not have access to it",
        ("invalid_request_error", "model_not_found"), "not_found_error", "NOT_FOUND", "ResourceNotFoundException",
    ),
    "model_retired": Refusal(
        400, "The model `{model}` has been decommissioned and is no longer supported",
        ("invalid_request_error", "model_decommissioned"), "invalid_request_error",
        "INVALID_ARGUMENT", "ValidationException",
    ),
    "bad_request": Refusal(
        400, "temperature must be between 0 and 2", ("invalid_request_error", None), "invalid_request_error",
        "INVALID_ARGUMENT", "ValidationException",
    ),
    "server_error": Refusal(
        500, "The server had an error while processing your request", ("server_error", None), "api_error",
        "INTERNAL", "InternalServerException",
    ),
    "unavailable": Refusal(
        503, "Service temporarily unavailable", ("server_error", None), "api_error",
        "UNAVAILABLE", "InternalServerException",
    ),
}  # fmt: skip


def error_body(refusal: Refusal, dialect: DemoDialect, model: str) -> bytes:
    """Return the error object."""
    message = refusal.message.format(model=model)
    kind, code = refusal.openai
    body: object
    match dialect:
        case "openai":
            body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
        case "anthropic":
            body = {"type": "error", "error": {"type": refusal.anthropic, "message": message}, "request_id": "req_demo"}
        case "gemini":
            body = {"error": {"code": refusal.status, "message": message, "status": refusal.gemini}}
        case "ollama":
            body = {"error": message}
        case _:
            body = {"message": message}
    return json.dumps(body).encode()


def error_headers(refusal: Refusal, dialect: DemoDialect) -> tuple[tuple[str, str], ...]:
    """Return the headers beside the error object."""
    amazon = (("x-amzn-errortype", refusal.bedrock),) if dialect.startswith("bedrock") else ()
    return (("content-type", "application/json"), *amazon, *refusal.headers)


def error_event(refusal: Refusal, dialect: DemoDialect, model: str) -> bytes:
    """Return the same error in the middle of a stream."""
    if dialect.startswith("bedrock"):
        name = refusal.bedrock[0].lower() + refusal.bedrock[1:]
        return exception_frame(name, refusal.message.format(model=model))
    body = error_body(refusal, dialect, model)
    if dialect == "ollama":
        return body + b"\n"
    return sse(body, "error" if dialect == "anthropic" else "")
