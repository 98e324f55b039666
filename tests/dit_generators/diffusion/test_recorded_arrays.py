"""Every recorded array of the official implementation, within the limits that its README states."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from dit_oracles import (
    assert_numbers_close,
    assert_rows_close,
    ddim_step,
    ddpm_step,
    forward_with_cfg,
    oracle,
    oracle_config,
    oracle_model,
)
from torch import Tensor

from dit_generators.diffusion.guidance import Guidance, guided
from dit_generators.diffusion.loss import add_noise, diffusion_loss
from dit_generators.diffusion.samplers import (
    ddim,
    ddpm,
    log_variance,
    posterior_mean,
    predicted_x_0,
)
from dit_generators.diffusion.schedule import linear_schedule, respace
from dit_generators.network.embeddings import position_table, timestep_frequencies
from dit_generators.network.model import DiT


@pytest.fixture(scope="module")
def model() -> DiT:
    return oracle_model()


@pytest.fixture(autouse=True)
def _no_gradient() -> Iterator[None]:
    with torch.no_grad():
        yield


def as_predict(model: DiT, y: Tensor):
    return lambda x, timesteps: model(x, timesteps, y)


def replay(noise: Tensor):
    """A draw function that gives recorded noise step by step."""
    rows = iter(noise)
    return lambda: next(rows)


def test_the_model_has_the_recorded_number_of_parameters(model: DiT) -> None:
    assert sum(p.numel() for p in model.parameters()) == oracle_config()["num_parameters"]


def test_forward_output(model: DiT) -> None:
    f = oracle("forward")
    assert_rows_close(model(f["x"], f["t"], f["y"]), f["out"])


def test_embeddings_and_tokens(model: DiT) -> None:
    f = oracle("forward")
    assert_rows_close(timestep_frequencies(f["t"]), f["act.t_freq"], 1e-4)
    assert_rows_close(model.t_embedder(f["t"]), f["act.t_emb"])
    assert_rows_close(model.y_embedder(f["y"]), f["act.y_emb"])
    assert_rows_close(model.x_embedder(f["x"]) + model.pos_embed, f["act.tokens"])
    assert_rows_close(model.y_embedder(f["y"], f["force_drop_ids"]), f["y_emb_forced_drop"])


def test_activations_inside_the_blocks(model: DiT) -> None:
    f = oracle("forward")
    seen: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(_module: object, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[f"{name}_in"], seen[f"{name}_out"] = inputs[0][:1], output[:1]

        return hook

    hooks = [model.blocks[0].attn.register_forward_hook(keep("act.block0.attn"))]
    hooks += [model.blocks[0].mlp.register_forward_hook(keep("act.block0.mlp"))]
    for i, block in enumerate(model.blocks):
        hooks.append(block.register_forward_hook(lambda _m, _i, out, i=i: seen.update({f"act.block{i}": out})))
    hooks.append(
        model.final_layer.register_forward_hook(lambda _m, _i, out: seen.update({"act.final_tokens": out[:1]}))
    )
    model(f["x"], f["t"], f["y"])
    for hook in hooks:
        hook.remove()
    for name, value in seen.items():
        assert_rows_close(value, f[name])
    assert len(seen) == 8


def test_layer_norm_eps_is_1e_6_in_blocks_and_final_layer(model: DiT) -> None:
    f = oracle("forward")
    tokens, c, attend = f["probe.tokens"], f["probe.c"], model.attention_functions()[0]
    assert_rows_close(model.blocks[0](tokens, c, attend), f["probe.block0_out"])
    assert_rows_close(model.final_layer(tokens, c), f["probe.final_out"])
    changed = oracle_model()
    width = changed.config.hidden_size
    changed.blocks[0].adaLN_modulation[1].weight[2 * width : 3 * width] = 0
    changed.blocks[0].adaLN_modulation[1].bias[2 * width : 3 * width] = 0
    assert_rows_close(changed.blocks[0](tokens, c, attend), f["probe.block0_out_gate_msa_zero"])


@pytest.mark.parametrize("scale", [0.0, 1.0, 1.5, 4.0, 10.0])
def test_official_guidance_on_all_rows(model: DiT, scale: float) -> None:
    f = oracle("forward")
    out = forward_with_cfg(model, f["cfg.x"], f["cfg.t"], f["cfg.y"], scale)
    assert_rows_close(out, f[f"cfg.out_{scale}"])


@pytest.mark.parametrize("scale", [0.0, 1.0, 1.5, 4.0, 10.0])
def test_guidance_on_three_channels_is_the_first_half_of_the_official(model: DiT, scale: float) -> None:
    f = oracle("forward")
    for row in range(2):
        predict = guided(model, f["cfg.y"][row : row + 1], Guidance(scale=scale, channels="3"))
        out = predict(f["cfg.x"][row : row + 1], f["cfg.t"][row : row + 1])
        assert_rows_close(out, f[f"cfg.out_{scale}"][row : row + 1])


@pytest.mark.parametrize("dim", [64, 1152])
@pytest.mark.parametrize("grid", [8, 16, 32])
def test_position_table(dim: int, grid: int) -> None:
    recorded, name = oracle("pos_embed"), f"d{dim}.g{grid}"
    table = torch.from_numpy(position_table(dim, (grid, grid)))
    assert_rows_close(table[recorded[f"{name}.rows"]].float(), recorded[f"{name}.values"])
    weights = torch.arange(1, grid**2 + 1, dtype=torch.float64) / grid**2
    checksum = (weights[:, None] * table).sum(0)
    assert_rows_close(checksum[None], recorded[f"{name}.wsum"][None], 1e-12)


def test_linear_schedule_tables() -> None:
    recorded, schedule = oracle("schedule"), linear_schedule()
    names = [key.removeprefix("linear1000.") for key in recorded if key.startswith("linear1000.")]
    assert len(names) == 6
    for name in names:
        ours, theirs = getattr(schedule, name), recorded[f"linear1000.{name}"].numpy()
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=0, err_msg=name)


@pytest.mark.parametrize("steps", ["10", "21", "50", "250", "500", "ddim50", "20,10,5"])
def test_respacing(steps: str) -> None:
    recorded, schedule = oracle("schedule"), respace(linear_schedule(), steps)
    assert schedule.timesteps.tolist() == recorded[f"respaced.{steps}.timestep_map"].tolist()
    np.testing.assert_allclose(schedule.betas, recorded[f"respaced.{steps}.betas"].numpy(), rtol=1e-12, atol=0)
    np.testing.assert_allclose(
        schedule.posterior_log_variance_clipped,
        recorded[f"respaced.{steps}.posterior_log_variance_clipped"].numpy(),
        rtol=1e-12,
        atol=0,
    )


def test_ddpm_of_ten_steps(model: DiT) -> None:
    r, schedule = oracle("trajectories"), respace(linear_schedule(), 10)
    assert schedule.timesteps[::-1].tolist() == r["d10.t"].tolist()
    steps = list(ddpm(as_predict(model, r["ddpm10.y"]), r["ddpm10.z"], schedule, replay(r["ddpm10.noise"])))
    for step, expected in zip(steps, r["ddpm10.x"], strict=True):
        assert_rows_close(step.x, expected)


def test_guided_ddpm_of_ten_steps_with_all_rows_of_the_official_batch(model: DiT) -> None:
    r, schedule = oracle("trajectories"), respace(linear_schedule(), 10)

    def official(x: Tensor, timesteps: Tensor) -> Tensor:
        return forward_with_cfg(model, x, timesteps, r["ddpm10_cfg.y"], 4.0)

    steps = ddpm(official, r["ddpm10_cfg.z"], schedule, replay(r["ddpm10_cfg.noise"]))
    for step, expected in zip(steps, r["ddpm10_cfg.x"], strict=True):
        assert_rows_close(step.x, expected)


def test_guided_ddpm_by_our_guidance_gives_the_official_samples(model: DiT) -> None:
    r, schedule = oracle("trajectories"), respace(linear_schedule(), 10)
    predict = guided(model, r["ddpm10_cfg.y"][:2], Guidance(scale=4.0, channels="3"))
    steps = ddpm(predict, r["ddpm10_cfg.z"][:2], schedule, replay(r["ddpm10_cfg.noise"][:, :2]))
    for step, expected in zip(steps, r["ddpm10_cfg.x"], strict=True):
        assert_rows_close(step.x, expected[:2])


def test_ddim_of_ten_steps(model: DiT) -> None:
    r, schedule = oracle("trajectories"), respace(linear_schedule(), 10)
    z = r["ddim10.z"]
    steps = list(ddim(as_predict(model, r["ddim10.y"]), z, schedule, lambda: torch.zeros_like(z)))
    for step, expected in zip(steps, r["ddim10.x"], strict=True):
        assert_rows_close(step.x, expected)


def test_guided_ddim_of_ten_steps(model: DiT) -> None:
    r, schedule = oracle("trajectories"), respace(linear_schedule(), 10)
    z = r["ddim10.z"].repeat(2, 1, 1, 1)
    labels = torch.cat([r["ddim10.y"], torch.full_like(r["ddim10.y"], model.config.null_label)])
    predict = lambda x, timesteps: forward_with_cfg(model, x, timesteps, labels, 4.0)  # noqa: E731
    *_, last = ddim(predict, z, schedule, lambda: torch.zeros_like(z))
    assert_rows_close(last.x, r["ddim10_cfg.x_final"])


def test_ddpm_of_fifty_steps_from_the_documented_noise(model: DiT) -> None:
    r, noise_config = oracle("trajectories"), oracle_config()["ddpm50"]
    random = np.random.RandomState(noise_config["numpy_seed"])
    draw = lambda: torch.from_numpy(random.standard_normal(noise_config["shape"]).astype(np.float32))  # noqa: E731
    z = draw()
    steps = list(ddpm(as_predict(model, r["ddpm50.y"]), z, respace(linear_schedule(), 50), draw))
    for step, expected in zip(steps[9::10], r["ddpm50.x_every10"], strict=True):
        assert_rows_close(step.x, expected)


def test_single_steps_at_several_indices(model: DiT) -> None:
    r, schedule = oracle("trajectories"), respace(linear_schedule(), 10)
    x, index, noise = r["step10.x"], r["step10.index"], r["step10.noise"]
    output = model(x, torch.from_numpy(schedule.timesteps)[index], r["step10.y"])
    assert_rows_close(ddpm_step(output, x, schedule, index, noise), r["step10.p_sample"])
    assert_rows_close(ddim_step(output, x, schedule, index, noise), r["step10.ddim_eta0"])
    assert_rows_close(ddim_step(output, x, schedule, index, noise, eta=0.5), r["step10.ddim_eta0.5"])


def test_noise_is_drawn_at_every_step_also_the_last_and_for_deterministic_ddim(model: DiT) -> None:
    r, schedule, draws = oracle("trajectories"), respace(linear_schedule(), 10), []

    def draw() -> Tensor:
        draws.append(torch.randn_like(r["ddim10.z"]))
        return draws[-1]

    for sampler in (ddpm, ddim):
        draws.clear()
        list(sampler(as_predict(model, r["ddim10.y"]), r["ddim10.z"], schedule, draw))
        assert len(draws) == 10


def test_posterior_and_predicted_gaussians_of_the_loss(model: DiT) -> None:
    r, schedule = oracle("losses"), linear_schedule()
    x_t = add_noise(r["x_start"], r["noise"], schedule, r["t"])
    assert_rows_close(x_t, r["x_t"])
    assert_rows_close(posterior_mean(r["x_start"], x_t, schedule, r["t"]), r["posterior_mean"])
    np.testing.assert_allclose(schedule.posterior_variance[r["t"]], r["posterior_variance"], rtol=3e-5)
    np.testing.assert_allclose(
        schedule.posterior_log_variance_clipped[r["t"]], r["posterior_log_variance_clipped"], rtol=3e-5
    )
    output = model(x_t, r["t"], r["y"])
    x_0 = predicted_x_0(output, x_t, schedule, r["t"])
    assert_rows_close(posterior_mean(x_0, x_t, schedule, r["t"]), r["p_mean"])
    assert_rows_close(log_variance(output, x_t, schedule, r["t"]), r["p_log_variance"])


def test_losses(model: DiT) -> None:
    r, schedule = oracle("losses"), linear_schedule()
    loss = diffusion_loss(as_predict(model, r["y"]), r["x_start"], r["t"], r["noise"], schedule)
    assert loss.vb is not None
    assert_numbers_close(loss.mse, r["mse"])
    assert_numbers_close(loss.vb, r["vb"])
    assert_numbers_close(loss.total, r["loss"])


def test_losses_at_t_0_far_from_the_mean(model: DiT) -> None:
    r, schedule = oracle("losses"), linear_schedule()
    index = torch.zeros(2, dtype=torch.int64)
    predict = as_predict(model, r["t0_tail.y"])
    loss = diffusion_loss(predict, r["t0_tail.x_start"], index, r["t0_tail.noise"], schedule)
    assert loss.vb is not None
    assert_numbers_close(loss.mse, r["t0_tail.mse"])
    assert_numbers_close(loss.vb, r["t0_tail.vb"], 3e-2)
    assert_numbers_close(loss.total, r["t0_tail.loss"], 3e-2)


def test_gradient_of_the_loss_and_none_from_the_bound_into_the_noise() -> None:
    r, model, schedule = oracle("losses"), oracle_model(), linear_schedule()
    with torch.enable_grad():
        loss = diffusion_loss(as_predict(model, r["y"]), r["x_start"], r["t"], r["noise"], schedule)
        loss.total.mean().backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert_rows_close(gradients["final_layer.linear.bias"].unsqueeze(0), r["grad.final_layer.linear.bias"].unsqueeze(0))
    norms = torch.stack([gradients[name].double().norm() for name in oracle_config()["grad_norm_keys"]])
    assert_numbers_close(norms, r["grad_norms"])
