"""The API's answers as TypeScript, so that the page is checked against the API it asks.

``python -m tests.service.web.api_types > tests/service/web/api.d.ts`` writes it anew.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).parents[1] / "http" / "openapi.json"
PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}


def declarations(document: dict[str, Any]) -> str:
    """An interface for each object of the document, in the order of their names."""
    schemas = document["components"]["schemas"]
    lines = ["// Made from tests/service/http/openapi.json by tests/service/web/api_types.py.", ""]
    for name, schema in sorted(schemas.items()):
        if "properties" in schema:
            needed = set(schema.get("required", ()))
            fields = [
                f"  {field}{'' if field in needed else '?'}: {type_of(one)};"
                for field, one in schema["properties"].items()
            ]
            lines += [f"interface {name.replace('-', '_')} {{", *fields, "}", ""]
        else:
            lines += [f"type {name.replace('-', '_')} = {type_of(schema)};", ""]
    return "\n".join(lines)


def type_of(schema: dict[str, Any]) -> str:
    """One schema as a type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2].replace("-", "_")
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(type_of(one) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return " | ".join(json.dumps(one) for one in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "array":
            return f"({type_of(schema.get('items', {}))})[]"
        case "object":
            values = schema.get("additionalProperties")
            return f"Record<string, {type_of(values) if isinstance(values, dict) else 'any'}>"
        case "null":
            return "null"
        case kind:
            return PLAIN.get(str(kind), "any")


if __name__ == "__main__":
    sys.stdout.write(declarations(json.loads(SNAPSHOT.read_text())))
