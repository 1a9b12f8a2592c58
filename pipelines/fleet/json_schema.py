"""The JSON Schema of fleet.yaml, which editors complete and check by."""

import json
from pathlib import Path
from typing import Any

from pipelines.fleet.models import Fleet

PACKAGED = Path(__file__).with_name("fleet.schema.json")
"""The schema as it is shipped; a test keeps it equal to the models."""


def fleet_schema() -> dict[str, Any]:
    """Return the schema, with the shorthands that the models accept and pydantic does not show."""
    schema = Fleet.model_json_schema(by_alias=True)
    provider = schema["$defs"]["Provider"]["properties"]
    provider["models"] = {
        "anyOf": [{"$ref": "#/$defs/ModelSelection"}, {"type": "array", "items": {"type": "string"}}],
        "description": "Patterns over the provider's own list, or a plain list of models",
    }
    for section in ("projects", "providers", "endpoints"):
        # An entry without settings (`default:`) stands for its defaults.
        value = schema["properties"][section]
        inner = value.get("additionalProperties") or next(iter(value["patternProperties"].values()))
        option = {"anyOf": [dict(inner), {"type": "null"}]}
        inner.clear()
        inner.update(option)
    for section in schema["properties"].values():
        if section.get("type") in ("object", "array"):
            # `routes:` with all its lines commented out.
            section["type"] = [section["type"], "null"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "ArgusLab fleet.yaml"}


def schema_text() -> str:
    """Return the schema as it is written to disk."""
    return json.dumps(fleet_schema(), indent=2, ensure_ascii=False) + "\n"


def modeline(reference: str) -> str:
    """Return the comment that tells an editor where the schema is, relative to fleet.yaml."""
    return f"# yaml-language-server: $schema={reference}"
