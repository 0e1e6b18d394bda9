"""The JSON of the routes as pydantic models, shown in OpenAPI."""
