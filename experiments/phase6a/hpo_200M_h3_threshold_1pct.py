"""Study phase6a_200M_h3_threshold_1pct: 200M parameters, a rise of 1 % within 3 days.

Written by `mlflow run . -e regenerate`, not by hand. It runs the very study of `mlflow run`, under
the same name, so that either goes on with what the other began:

    python hpo_200M_h3_threshold_1pct.py --help
    mlflow run . --experiment-name phase6a -P budget=200M -P horizon=3 -P task=threshold_1pct
"""

from mlproject.cli.script import run_script
from mlproject.experiments.study_script import StudyScript

STUDY = StudyScript(
    experiment="phase6a",
    budget="200M",  # 150,000,000 to 250,000,000 parameters
    horizon_days=3,
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
        "architectures": "125",
        "d_model": "256 384 512 768 1024 1536 2048",
        "n_layers": "3 4 6 8 12 16 24 32 48 64 96 128 160 180 192 256",
        "n_heads": "2 4 8 16 32",
        "d_ff": "768 1024 1536 2048 3072 4096 6144 8192",
        "shape_index": "0..24",
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
        "min_d_model": "256 wide, 192 layers, 8 heads, d_ff 1024, 151,706,881 params",
        "max_d_model": "2048 wide, 6 layers, 8 heads, d_ff 4096, 202,045,441 params",
        "min_n_layers": "2048 wide, 3 layers, 8 heads, d_ff 8192, 151,658,497 params",
        "max_n_layers": "256 wide, 256 layers, 8 heads, d_ff 1024, 202,251,521 params",
        "min_n_heads": "768 wide, 48 layers, 2 heads, d_ff 1536, 227,116,801 params",
        "max_n_heads": "768 wide, 48 layers, 32 heads, d_ff 1536, 227,116,801 params",
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
