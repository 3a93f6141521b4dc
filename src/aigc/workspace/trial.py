"""Environment variables of the stages that run as a trial of a sweep; MLflow's observer reads them."""

SWEEP, TRIAL = "AIGC_SWEEP", "AIGC_TRIAL"  # the sweep's name; the trial's number
CURVE = "AIGC_CURVE"  # a file for the FID curve of a training, a JSON object a line
PRUNED = ".pruned"  # the suffix, in place of the curve's, of a file that says why the training was stopped
