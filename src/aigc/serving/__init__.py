"""Pictures over HTTP: `aigc serve`. `orders.py` is MLflow's server's too (tracking/serving.py)."""
