"""Class-conditional diffusion on vectors: arrays and tensors in, arrays out."""
