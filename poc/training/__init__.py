"""Training of any size: image model, motion module, consistency distillation, style LoRAs."""
