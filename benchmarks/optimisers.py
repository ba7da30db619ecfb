"""Whether the frugal plans learn what AdamW in fp32 learns.

    python benchmarks/optimisers.py

trains a 2M architecture (64 wide, 32 layers, 2 heads, d_ff 256) on the embedded data with each plan
and each of three seeds, alike in everything else, and prints the best validation loss and that of
the last epoch. The spread over seeds is what differences have to be held against.
"""

import statistics

from mlproject.training.system.environment import set_torch_environment

SEEDS = (0, 1, 2)
EPOCHS = 12
PLANS = (("adamw", "fp32"), ("adamw", "bf16"), ("adafactor", "bf16"))


def main() -> None:
    """Print the table."""
    set_torch_environment()
    from benchmarks.training_step import architecture

    from mlproject.data.bars import load_bars
    from mlproject.data.labels import parse_task
    from mlproject.data.windows import build_windows
    from mlproject.training.plan import OptimiserName, Precision, TrainingPlan
    from mlproject.training.scores import prior_loss
    from mlproject.training.settings import TrainingSettings
    from mlproject.training.train import train

    data = build_windows(load_bars("sp500"), horizon_days=3, task=parse_task("threshold_1pct"))
    row = architecture((64, 32, 2, 256))
    print(f"prior {prior_loss(data.labels[data.validation], data.base_rate):.4f}")
    seeds = " | ".join(f"seed {seed}" for seed in SEEDS)
    print(
        f"| plan | best val_loss: {seeds} | mean | spread | mean of the last epoch | s an epoch |"
    )
    print("|---" * (len(SEEDS) + 5) + "|")
    for optimiser, precision in PLANS:
        plan = TrainingPlan(optimiser=OptimiserName(optimiser), precision=Precision(precision))
        best, last, seconds = [], [], []
        for seed in SEEDS:
            settings = TrainingSettings(
                learning_rate=3e-4,
                epochs=EPOCHS,
                batch_size=256,
                weight_decay=1e-4,
                warmup_steps=20,
                dropout=0.1,
                seed=seed,
            )
            losses: list[float] = []
            result = train(
                row,
                data,
                settings,
                lambda epoch, kept=losses: bool(kept.append(epoch.val_loss)),
                plan=plan,
            )
            best.append(min(losses))
            last.append(losses[-1])
            seconds.append(result.duration_seconds / result.epochs_run)
        print(
            f"| {optimiser}, {precision} | "
            + " | ".join(f"{loss:.4f}" for loss in best)
            + f" | {statistics.mean(best):.4f} | {statistics.stdev(best):.4f} "
            f"| {statistics.mean(last):.4f} | {statistics.median(seconds):.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
