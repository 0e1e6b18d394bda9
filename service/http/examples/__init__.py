"""Examples of longer answers, shown in OpenAPI."""
