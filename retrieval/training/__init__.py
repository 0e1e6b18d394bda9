"""What the training of encoders and of detectors share.

config       frozen dataclasses from TOML, with the path of a misspelt key
checkpoint   a run's state as safetensors
run_log      loss terms as CSV, curve and TensorBoard
model_file   trained weights with their settings, bound by a fingerprint
prefetch     batches made ahead of the loop
schedule     the learning rate of a step
workers      this process among those that torchrun started
"""
