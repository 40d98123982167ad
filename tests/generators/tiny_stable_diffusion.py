"""A randomly initialised Stable Diffusion of a few thousand weights, saved as real ones are.

It has every part of the real one (tokenizer, text encoder, autoencoder, U-Net, scheduler), so that
the code under test runs as it does on the real weights; what it draws means nothing.
"""

import json
import tempfile
from functools import cache
from pathlib import Path

import torch

SIDE = 16


def save_tokenizer(folder):
    """CLIP's byte-pair tokenizer over single letters."""
    folder.mkdir(parents=True)
    letters = [chr(i) for i in range(33, 127)]
    tokens = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    card = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(card))
    return len(tokens)


@cache
def tiny_weights(seed=0, prediction_type="epsilon"):
    """Folder of the saved pipeline, made once a process."""
    from bloomdiff.imaging.diffusers_import import import_diffusers

    diffusers = import_diffusers()
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    folder = Path(tempfile.mkdtemp(prefix="tiny-stable-diffusion-"))
    n_tokens = save_tokenizer(folder / "tokenizer")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipeline = diffusers.StableDiffusionPipeline(
            vae=diffusers.AutoencoderKL(
                block_out_channels=(8, 16),
                down_block_types=["DownEncoderBlock2D"] * 2,
                up_block_types=["UpDecoderBlock2D"] * 2,
                latent_channels=4,
                norm_num_groups=4,
                sample_size=SIDE,
            ),
            text_encoder=CLIPTextModel(
                CLIPTextConfig(
                    vocab_size=n_tokens,
                    hidden_size=16,
                    intermediate_size=32,
                    num_hidden_layers=1,
                    num_attention_heads=2,
                    bos_token_id=n_tokens - 2,
                    eos_token_id=n_tokens - 1,
                    pad_token_id=n_tokens - 1,
                )
            ),
            tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
            unet=diffusers.UNet2DConditionModel(
                sample_size=SIDE // 2,
                block_out_channels=(8, 16),
                down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
                up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
                layers_per_block=1,
                cross_attention_dim=16,
                attention_head_dim=4,
                norm_num_groups=4,
            ),
            scheduler=diffusers.PNDMScheduler(
                beta_start=0.00085,
                beta_end=0.012,
                beta_schedule="scaled_linear",
                skip_prk_steps=True,
                steps_offset=1,
                prediction_type=prediction_type,
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.save_pretrained(folder)
    # The library writes its own single file; the published weights have the two older ones.
    (folder / "tokenizer" / "tokenizer.json").unlink(missing_ok=True)
    if not (folder / "tokenizer" / "vocab.json").exists():
        save_tokenizer(folder / "tokenizer")
    return folder
