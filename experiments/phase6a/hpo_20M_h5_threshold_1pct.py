"""Study phase6a_20M_h5_threshold_1pct: 20M parameters, a rise of 1 % within 5 days.

Written by `mlflow run . -e regenerate`, not by hand. It runs the very study of `mlflow run`, under
the same name, so that either goes on with what the other began:

    python hpo_20M_h5_threshold_1pct.py --help
    mlflow run . --experiment-name phase6a -P budget=20M -P horizon=5 -P task=threshold_1pct
"""

from mlproject.cli.script import run_script
from mlproject.experiments.study_script import StudyScript

STUDY = StudyScript(
    experiment="phase6a",
    budget="20M",  # 15,000,000 to 25,000,000 parameters
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
        "architectures": "75",
        "d_model": "128 192 256 384 512 768 1024",
        "n_layers": "2 3 4 6 8 12 16 24 32 48 64 96 128 160 180",
        "n_heads": "2 4 8 16 32",
        "d_ff": "256 384 512 768 1024 1536 2048 3072",
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
        "min_d_model": "128 wide, 96 layers, 8 heads, d_ff 512, 19,070,593 params",
        "max_d_model+min_n_layers": "1024 wide, 2 layers, 8 heads, d_ff 2048, 17,091,585 params",
        "max_n_layers": "128 wide, 180 layers, 8 heads, d_ff 256, 23,882,881 params",
        "min_n_heads": "256 wide, 24 layers, 2 heads, d_ff 1024, 19,027,201 params",
        "max_n_heads": "256 wide, 24 layers, 32 heads, d_ff 1024, 19,027,201 params",
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
