"""Study phase6a_2M_h5_threshold_1pct: 2M parameters, a rise of 1 % within 5 days.

Written by `mlflow run . -e regenerate`, not by hand. It runs the very study of `mlflow run`, under
the same name, so that either goes on with what the other began:

    python hpo_2M_h5_threshold_1pct.py --help
    mlflow run . --experiment-name phase6a -P budget=2M -P horizon=5 -P task=threshold_1pct
"""

from mlproject.cli.script import run_script
from mlproject.experiments.study_script import StudyScript

STUDY = StudyScript(
    experiment="phase6a",
    budget="2M",  # 1,500,000 to 2,500,000 parameters
    horizon_days=5,
    task="threshold_1pct",
    label_price="close",  # the price that has to reach the threshold
    data="sp500",
    n_trials=50,  # finished trials of the study in all, over all launches
    max_epochs=0,  # no cap on the epochs that the search may choose
    batch_size=256,
    seed=0,
    grid_version=3,  # of the architecture grid
    n_features=25,  # of each day
    search_space=2,  # the version of ranges, sampler and pruner
    search_ranges={
        "architectures": "80",
        "d_model": "64 128 192 256 384",
        "n_layers": "2 3 4 6 8 12 16 32 48 64",
        "n_heads": "2 4 8 16 32",
        "d_ff": "128 256 384 512 768 1024",
        "shape_index": "0..15",
        "learning_rate": "3e-05..0.001 log",
        "epochs": "5..50 log",
        "weight_decay": "0.001..0.3 log",
        "dropout": "0.0..0.5",
        "warmup_share": "0.1",
        "decays_matrices_only": "yes",
        "patience_share": "0.25",
        "draws_by_name": "yes",
    },
    forced_extremes={
        "min_d_model": "64 wide, 32 layers, 8 heads, d_ff 256, 1,617,729 params",
        "max_d_model": "384 wide, 2 layers, 8 heads, d_ff 768, 2,477,185 params",
        "min_n_layers": "256 wide, 2 layers, 8 heads, d_ff 1024, 1,652,481 params",
        "max_n_layers": "64 wide, 64 layers, 8 heads, d_ff 128, 2,160,449 params",
        "min_n_heads": "192 wide, 8 layers, 2 heads, d_ff 384, 2,430,913 params",
        "max_n_heads": "192 wide, 8 layers, 32 heads, d_ff 384, 2,430,913 params",
    },
    sampler={
        "class": "TPESampler",
        "n_startup_trials": 10,
        "n_ei_candidates": 24,
        "multivariate": True,
        "group": False,
        "constant_liar": True,
    },
    pruner={
        "class": "NopPruner",
    },
)

if __name__ == "__main__":
    run_script(STUDY)
