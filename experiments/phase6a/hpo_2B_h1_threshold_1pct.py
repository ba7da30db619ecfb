"""Study phase6a_2B_h1_threshold_1pct: 2B parameters, a rise of 1 % within 1 day.

Written by `mlflow run . -e regenerate`, not by hand. It runs the very study of `mlflow run`, under
the same name, so that either goes on with what the other began:

    python hpo_2B_h1_threshold_1pct.py --help
    mlflow run . --experiment-name phase6a -P budget=2B -P horizon=1 -P task=threshold_1pct
"""

from mlproject.cli.script import run_script
from mlproject.experiments.study_script import StudyScript

STUDY = StudyScript(
    experiment="phase6a",
    budget="2B",  # 1,500,000,000 to 2,500,000,000 parameters
    horizon_days=1,
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
        "architectures": "75",
        "d_model": "768 1024 1536 2048",
        "n_layers": "32 48 64 96 128 160 180 192 256",
        "n_heads": "2 4 8 16 32",
        "d_ff": "2048 3072 4096 6144 8192",
        "shape_index": "0..14",
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
        "min_d_model": "768 wide, 256 layers, 8 heads, d_ff 3072, 1,814,714,113 params",
        "max_d_model": "2048 wide, 64 layers, 8 heads, d_ff 4096, 2,149,509,121 params",
        "min_n_layers": "2048 wide, 32 layers, 8 heads, d_ff 8192, 1,612,048,385 params",
        "max_n_layers": "1024 wide, 256 layers, 8 heads, d_ff 2048, 2,150,659,073 params",
        "min_n_heads": "1536 wide, 128 layers, 2 heads, d_ff 3072, 2,418,519,553 params",
        "max_n_heads": "1536 wide, 128 layers, 32 heads, d_ff 3072, 2,418,519,553 params",
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
