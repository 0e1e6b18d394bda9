"""The bundled models: safetensors, each with its model card."""
