"""The loss of textual inversion: how well the noise of a picture is predicted with the word."""

import torch.nn.functional as F
from torch import Tensor

from diffusion.process import q_sample, v_from_x_0_and_eps
from diffusion.schedule import alpha_bars
from diffusion.stable_diffusion import StableDiffusion
from inversion.batches import Batch
from inversion.config import Train


def loss_of(sd: StableDiffusion, batch: Batch, weights: Tensor | None = None) -> Tensor:
    """Sum over the batch of each picture's mean squared error (Gal et al., eq. 2), cells counted as
    the batch's masks say, times what the picture counts, times its timestep's weight where
    `weights` [T] are given."""
    hidden_states = sd.text_encoder(batch.token_ids)[0]
    a = alpha_bars(sd.scheduler_config).to(sd.device)[batch.timesteps]
    x_t = q_sample(batch.x_0, batch.eps, a)
    predicted = sd.unet(x_t.to(sd.dtype), batch.timesteps, encoder_hidden_states=hidden_states)
    target = batch.eps
    if _predicts_v(sd):
        target = v_from_x_0_and_eps(batch.x_0, batch.eps, a)
    error = F.mse_loss(predicted.sample.float(), target, reduction="none")
    loss = (error if batch.weights is None else error * batch.weights).mean((1, 2, 3))
    loss = loss if batch.counts is None else loss * batch.counts
    return (loss if weights is None else loss * weights[batch.timesteps]).sum()


def _predicts_v(sd: StableDiffusion) -> bool:
    return sd.scheduler_config.get("prediction_type") == "v_prediction"


def timestep_weights(sd: StableDiffusion, settings: Train) -> Tensor | None:
    """Min-SNR weights of all timesteps, [T] (Hang et al. 2023, arXiv:2303.09556, section 3.4):
    min(SNR, gamma) / SNR for a prediction of the noise, min(SNR, gamma) / (SNR + 1) for v."""
    if settings.min_snr_gamma is None:
        return None
    alpha_bar = alpha_bars(sd.scheduler_config).to(sd.device)
    snr = alpha_bar / (1 - alpha_bar)
    if _predicts_v(sd):
        return snr.clamp(max=settings.min_snr_gamma) / (snr + 1)
    return (settings.min_snr_gamma / snr).clamp(max=1)  # right for SNR = 0 too
