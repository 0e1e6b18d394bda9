"""What the training of all networks shares.

config        recipes as frozen dataclasses from TOML, with the path of a misspelt key
bounds        what a recipe's numbers may be
schedule      AdamW under a cosine schedule, and the rate of a step
loop          the one training loop of networks that see images
heads         the one loop of small heads on features in memory
cut_images    the cache of training images
freed_memory  what a step has freed is kept for the next one
checkpoint    a run's state as safetensors
run_log       loss terms as CSV, curve and TensorBoard
model_file    trained weights with their settings, bound by a fingerprint
prefetch      batches made ahead of the loop
workers       this process among those that torchrun started
seeds         a seed a step
paper_split   the paper's patients for training
"""
