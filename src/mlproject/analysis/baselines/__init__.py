"""The simple predictors that a network is held against, by its study and on the test span alike."""
